import type { Device, DType, HostDType, SequenceLayout, Tensor } from '@emloc/device';

import { createRandom, normals, roundToBfloat16 } from './random.js';
import { sequenceLayout } from './sequence-layout.js';

/**
 * A check against a reference in double precision; throws when it fails. Every tensor it makes is
 * freed.
 */
export interface Check {
  readonly name: string;
  run(lab: Lab): Promise<void>;
}

/** Makes tensors with known contents and compares what comes back. */
export class Lab {
  readonly #tensors: Tensor[] = [];
  readonly #random: () => number;

  constructor(
    readonly device: Device,
    seed: number,
  ) {
    this.#random = createRandom(seed);
  }

  random(): number {
    return this.#random();
  }

  /** Random values that the dtype represents exactly, and the tensor that holds them. */
  normal(
    shape: readonly number[],
    dtype: DType,
    scale = 1,
  ): { readonly tensor: Tensor; readonly values: Float32Array } {
    const tensor = this.empty(shape, dtype);
    const drawn = normals(tensor.size, this.#random, scale);
    const values = dtype === 'bfloat16' ? roundToBfloat16(drawn) : drawn;
    this.device.upload(tensor, { bytes: new Uint8Array(values.buffer), dtype: 'float32' });
    return { tensor, values };
  }

  integers(values: readonly number[]): Tensor {
    const tensor = this.empty([values.length], 'int32');
    this.device.upload(tensor, {
      bytes: new Uint8Array(Int32Array.from(values).buffer),
      dtype: 'int32',
    });
    return tensor;
  }

  /** Memory full of NaN, so that what a kernel leaves out is seen. */
  empty(shape: readonly number[], dtype: DType): Tensor {
    const tensor = this.device.allocate(
      shape,
      dtype,
      'activations',
      `check ${shape.join('x')} ${dtype}`,
    );
    this.#tensors.push(tensor);
    this.device.kernels.fill({ out: tensor, value: dtype === 'int32' ? -7 : Number.NaN });
    return tensor;
  }

  sequences(lengths: readonly number[]): SequenceLayout {
    return sequenceLayout(lengths, (values) => this.integers(values));
  }

  /** @throws Error when ‖tensor − expected‖ > tolerance ‖expected‖, with both places' names. */
  async expectClose(
    what: string,
    tensor: Tensor,
    expected: ArrayLike<number>,
    tolerance: number,
  ): Promise<void> {
    const actual = await this.device.download(tensor);
    if (actual.length !== expected.length)
      throw new Error(`${what}: ${actual.length} values, expected ${expected.length}`);
    const error = relativeError(actual, expected);
    if (!(error <= tolerance))
      throw new Error(`${what}: relative error ${error.toExponential(2)}, limit ${tolerance}`);
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }
}

export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < expected.length; i += 1) {
    difference += ((actual[i] as number) - (expected[i] as number)) ** 2;
    size += (expected[i] as number) ** 2;
  }
  return Math.sqrt(difference) / Math.max(Math.sqrt(size), 1e-30);
}

/** Largest relative errors that the figures allow. */
export const tolerances: Readonly<Record<DType, number>> = {
  float32: 1e-5,
  bfloat16: 1e-2,
  float64: 1e-12,
  int32: 0,
};

/**
 * `values` as the bytes of a host array of another dtype; values must be small integers for
 * float16.
 */
export function encode(values: Float32Array, dtype: HostDType): Uint8Array {
  switch (dtype) {
    case 'float64':
      return new Uint8Array(Float64Array.from(values).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(values).buffer);
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'bfloat16':
      return new Uint8Array(
        Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (word) => word >>> 16)
          .buffer,
      );
    case 'float16':
      return new Uint8Array(Uint16Array.from(values, toFloat16).buffer);
  }
}

/** Exact for integers of at most eleven bits. */
function toFloat16(value: number): number {
  if (value === 0) return 0;
  const magnitude = Math.abs(value);
  const exponent = Math.floor(Math.log2(magnitude));
  return (
    (value < 0 ? 0x8000 : 0) |
    ((exponent + 15) << 10) |
    Math.round((magnitude / 2 ** exponent - 1) * 1024)
  );
}
