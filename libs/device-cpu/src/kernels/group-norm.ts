import { assertDivides, type GroupNormOptions } from '@emloc/device';

import { activationCodes, chunkBytes, chunkElements, paddedCount } from '../activations.js';
import { assertSequences, assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';

/** Rows and columns of a group of a sequence. */
interface Part {
  readonly firstRow: number;
  readonly endRow: number;
  readonly firstColumn: number;
  readonly endColumn: number;
}

/** Sums in float64, the variance about the mean of a first pass. */
export function groupNorm(context: CpuContext, options: GroupNormOptions): void {
  const { x, groups, weight, bias, epsilon, sequences, activation, out } = options;
  const [rows, width] = matrix('groupNorm', x);
  assertDivides('groupNorm', { name: 'groups', count: groups }, x);
  assertSequences('groupNorm', sequences, rows);
  assertShape('groupNorm', out, x.shape);
  for (const tensor of [weight, bias]) assertShape('groupNorm', tensor, [width]);
  const [input, gain, shift, output] = [x, weight, bias, out].map(float32) as Quadruple;
  const { offsets } = sequences;
  const means = new Float64Array(width);
  const factors = new Float64Array(width);
  for (let s = 1; s < offsets.length; s += 1) {
    const [firstRow, endRow] = [offsets[s - 1] as number, offsets[s] as number];
    for (let group = 0; group < groups; group += 1) {
      const [firstColumn, endColumn] = [(group * width) / groups, ((group + 1) * width) / groups];
      const part = { firstRow, endRow, firstColumn, endColumn };
      const { mean, inverse } = momentsOf(input, width, part, epsilon);
      for (let i = firstColumn; i < endColumn; i += 1) {
        means[i] = mean;
        factors[i] = inverse * (gain[i] as number);
      }
    }
    normalise(input, output, {
      start: firstRow * width,
      end: endRow * width,
      means,
      factors,
      shift,
    });
  }
  if (activation) activate(context, output, activation);
}

type Quadruple = [Float32Array, Float32Array, Float32Array, Float32Array];

function momentsOf(x: Float32Array, width: number, part: Part, epsilon: number) {
  const { firstRow, endRow, firstColumn, endColumn } = part;
  const count = (endRow - firstRow) * (endColumn - firstColumn);
  let [sum, squares] = [0, 0];
  for (let row = firstRow; row < endRow; row += 1)
    for (let j = row * width + firstColumn; j < row * width + endColumn; j += 1)
      sum += x[j] as number;
  const mean = sum / count;
  for (let row = firstRow; row < endRow; row += 1)
    for (let j = row * width + firstColumn; j < row * width + endColumn; j += 1)
      squares += ((x[j] as number) - mean) ** 2;
  return { mean, inverse: 1 / Math.sqrt(squares / count + epsilon) };
}

interface Normalisation {
  /** Elements of the sequence. */
  readonly start: number;
  readonly end: number;
  /** By column. */
  readonly means: Float64Array;
  readonly factors: Float64Array;
  readonly shift: Float32Array;
}

function normalise(
  x: Float32Array,
  out: Float32Array,
  { start, end, means, factors, shift }: Normalisation,
): void {
  const width = shift.length;
  for (let j = start; j < end;)
    for (let i = 0; i < width; i += 1, j += 1)
      out[j] =
        ((x[j] as number) - (means[i] as number)) * (factors[i] as number) + (shift[i] as number);
}

function activate(
  { scratch, wasm }: CpuContext,
  values: Float32Array,
  kind: NonNullable<GroupNormOptions['activation']>,
): void {
  const address = scratch.take(chunkBytes(values.length));
  for (let start = 0; start < values.length; start += chunkElements) {
    const part = values.subarray(start, start + chunkElements);
    const chunk = scratch.float32(address, part.length);
    chunk.set(part);
    wasm.activationForward(activationCodes[kind], address, paddedCount(part.length));
    part.set(chunk);
  }
}
