import { DeviceError, type RopeOptions } from '@emloc/device';

import { assertIndices, assertShape, matrix } from '../checks.js';
import { float32, int32 } from '../memory.js';

export function rope({ x, out, cos, sin, positions, heads, inverse }: RopeOptions): void {
  const [rows, width] = matrix('rope', x);
  const half = width / heads / 2;
  if (!Number.isInteger(half))
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `rope: ${heads} heads of even length do not make ${width}`,
    );
  const table = [cos.dim(0), half];
  assertShape('rope', out, x.shape);
  assertShape('rope', cos, table);
  assertShape('rope', sin, table);
  assertShape('rope', positions, [rows]);
  const places = int32(positions);
  assertIndices('rope', places, cos.dim(0), positions.label);
  rotate({
    input: float32(x),
    output: float32(out),
    cosines: float32(cos),
    sines: float32(sin),
    places,
    heads,
    half,
    sign: inverse ? -1 : 1,
  });
}

interface Rotation {
  readonly input: Float32Array;
  readonly output: Float32Array;
  readonly cosines: Float32Array;
  readonly sines: Float32Array;
  readonly places: Int32Array;
  readonly heads: number;
  readonly half: number;
  readonly sign: number;
}

function rotate({ input, output, cosines, sines, places, heads, half, sign }: Rotation): void {
  let offset = 0;
  for (let row = 0; row < places.length; row += 1) {
    const angle = (places[row] as number) * half;
    for (let head = 0; head < heads; head += 1, offset += 2 * half) {
      for (let i = 0; i < half; i += 1) {
        const c = cosines[angle + i] as number;
        const s = sign * (sines[angle + i] as number);
        const low = input[offset + i] as number;
        const high = input[offset + half + i] as number;
        output[offset + i] = low * c - high * s;
        output[offset + half + i] = high * c + low * s;
      }
    }
  }
}
