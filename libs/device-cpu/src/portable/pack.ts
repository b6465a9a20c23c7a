import type { Elements, Matrix } from '../linear-algebra.js';

export interface PackRange {
  /** First and number of outer indices (rows of op(a), columns of op(b)). */
  readonly start: number;
  readonly count: number;
  readonly inner: number;
  readonly depth: number;
  readonly strip: 4 | 8;
  /** Whether the outer index counts rows of the matrix as stored. */
  readonly acrossRows: boolean;
}

/** Into strips of `strip` outer indices, inner index major, the last one padded with zeros. */
export function pack<T extends Elements>(
  { data, stride }: Matrix<T>,
  { start, count, inner, depth, strip, acrossRows }: PackRange,
  out: T,
): void {
  const [outerStep, innerStep] = acrossRows ? [stride, 1] : [1, stride];
  const origin = start * outerStep + inner * innerStep;
  const whole = count - (count % strip);
  for (let outer = 0; outer < whole; outer += 4) {
    const to = (outer - (outer % strip)) * depth + (outer % strip);
    packFour(
      data,
      { from: origin + outer * outerStep, outerStep, innerStep, depth, to, strip },
      out,
    );
  }
  if (whole === count) return;
  out.fill(0, whole * depth, (whole + strip) * depth);
  for (let outer = whole; outer < count; outer += 1) {
    const from = origin + outer * outerStep;
    for (let i = 0, to = whole * depth + outer - whole; i < depth; i += 1, to += strip)
      out[to] = data[from + i * innerStep] as number;
  }
}

interface FourLanes {
  readonly from: number;
  readonly outerStep: number;
  readonly innerStep: number;
  readonly depth: number;
  readonly to: number;
  readonly strip: number;
}

/** Four neighbouring outer indices at once: reads run along the matrix, writes along the strip. */
function packFour<T extends Elements>(
  data: T,
  { from, outerStep, innerStep, depth, to, strip }: FourLanes,
  out: T,
): void {
  let [first, second, third, fourth, target] = [
    from,
    from + outerStep,
    from + 2 * outerStep,
    from + 3 * outerStep,
    to,
  ];
  for (let i = 0; i < depth; i += 1) {
    out[target] = data[first] as number;
    out[target + 1] = data[second] as number;
    out[target + 2] = data[third] as number;
    out[target + 3] = data[fourth] as number;
    first += innerStep;
    second += innerStep;
    third += innerStep;
    fourth += innerStep;
    target += strip;
  }
}
