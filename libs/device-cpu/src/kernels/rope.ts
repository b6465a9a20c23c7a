import { DeviceError, type RopeOptions } from '@emloc/device';

import { assertIndices, assertShape, matrix } from '../checks.js';
import { float32, int32 } from '../memory.js';

export function rope(options: RopeOptions): void {
  const { x, out, cos, sin, positions, heads, inverse, pairs = 'halves' } = options;
  const { rows, headDim, half } = ropeExtents(options);
  const table = [cos.dim(0), half];
  assertShape('rope', out, x.shape);
  assertShape('rope', cos, table);
  assertShape('rope', sin, table);
  assertShape('rope', positions, [rows]);
  const places = int32(positions);
  assertIndices('rope', places, cos.dim(0), positions.label);
  const [input, output] = [float32(x), float32(out)];
  rotate({
    input,
    output,
    cosines: float32(cos),
    sines: float32(sin),
    places,
    heads,
    headDim,
    half,
    ...(pairs === 'halves' ? { step: 1, gap: half } : { step: 2, gap: 1 }),
    sign: inverse ? -1 : 1,
  });
  if (x !== out) copyRest(input, output, headDim, 2 * half);
}

/**
 * Rows, the length of a head, and how many pairs of it turn.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless heads are of even length, and so is what turns
 */
export function ropeExtents({ x, heads, rotaryDim }: RopeOptions): {
  rows: number;
  headDim: number;
  half: number;
} {
  const [rows, width] = matrix('rope', x);
  const headDim = width / heads;
  if (!Number.isInteger(headDim / 2))
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `rope: ${heads} heads of even length do not make ${width}`,
    );
  const half = (rotaryDim ?? headDim) / 2;
  if (!Number.isInteger(half) || half > headDim / 2)
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `rope: ${rotaryDim} elements of heads of ${headDim} cannot turn, only an even number up to that`,
    );
  return { rows, headDim, half };
}

interface Rotation {
  readonly input: Float32Array;
  readonly output: Float32Array;
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
  readonly places: Int32Array;
  readonly heads: number;
  readonly headDim: number;
  readonly half: number;
  /** From one pair to the next, and between the two of a pair. */
  readonly step: number;
  readonly gap: number;
  readonly sign: number;
}

function rotate(rotation: Rotation): void {
  const { input, output, cosines, sines, places, heads, headDim, half, step, gap, sign } = rotation;
  let offset = 0;
  for (let row = 0; row < places.length; row += 1) {
    const angle = (places[row] as number) * half;
    for (let head = 0; head < heads; head += 1, offset += headDim) {
      for (let i = 0, at = offset; i < half; i += 1, at += step) {
        const c = cosines[angle + i] as number;
        const s = sign * (sines[angle + i] as number);
        const low = input[at] as number;
        const high = input[at + gap] as number;
        output[at] = low * c - high * s;
        output[at + gap] = high * c + low * s;
      }
    }
  }
}

/** What does not turn: elements from `first` on of every head. */
function copyRest(input: Float32Array, output: Float32Array, headDim: number, first: number): void {
  if (first === headDim) return;
  for (let offset = 0; offset < input.length; offset += headDim) {
    for (let i = offset + first; i < offset + headDim; i += 1) output[i] = input[i] as number;
  }
}
