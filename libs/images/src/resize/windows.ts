/** Kernels of Pillow's resize: weight by distance in source pixels. */
export type ResizeFilter = 'bicubic' | 'bilinear';

/** Which source pixels an axis's outputs are made of. */
export interface Windows {
  /** Most weights of an output; those of output i begin at `i * stride`. */
  readonly stride: number;
  /** First source pixel by output. */
  readonly starts: Int32Array;
  /** Source pixels by output. */
  readonly counts: Int32Array;
  /** Fixed point with `weightBits` bits after the point. */
  readonly weights: Int32Array;
}

export const weightBits = 22;

interface Kernel {
  readonly support: number;
  readonly weigh: (distance: number) => number;
}

const kernels: Readonly<Record<ResizeFilter, Kernel>> = {
  bicubic: { support: 2, weigh: cubic },
  bilinear: { support: 1, weigh: (distance) => Math.max(0, 1 - Math.abs(distance)) },
};

/** Keys' cubic with a = -0.5, evaluated in Pillow's order. */
function cubic(distance: number): number {
  const t = Math.abs(distance);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? -0.5 * (((t - 5) * t + 8) * t - 4) : 0;
}

/** Windows of one axis from `from` to `to` pixels; shrinking widens the kernel. */
export function resizeWindows(from: number, to: number, filter: ResizeFilter): Windows {
  const { support, weigh } = kernels[filter];
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const windows = {
    stride,
    starts: new Int32Array(to),
    counts: new Int32Array(to),
    weights: new Int32Array(to * stride),
  };
  for (let output = 0; output < to; output++) {
    const centre = (output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    windows.starts[output] = start;
    windows.counts[output] = end - start;
    const inverse = 1 / stretch;
    const weights = Array.from({ length: end - start }, (_, index) =>
      weigh((index + start - centre + 0.5) * inverse),
    );
    windows.weights.set(toFixedPoint(weights), output * stride);
  }
  return windows;
}

/** Of sum 1, rounded half away from zero. */
function toFixedPoint(weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const inverse = sum === 0 ? 1 : 1 / sum;
  return weights.map((weight) => {
    const scaled = weight * inverse * 2 ** weightBits;
    return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  });
}
