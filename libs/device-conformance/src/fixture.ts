import assert from 'node:assert/strict';
import { at } from '@emloc/checked';
import {
  elementCount,
  type Device,
  type DType,
  type SequenceLayout,
  type Tensor,
} from '@emloc/device';

import { hostArray, rounded } from './host-values.js';

/** Largest difference allowed, as a share of the largest reference value of the tensor. */
export interface Tolerance {
  readonly float32: number;
  readonly bfloat16: number;
  readonly float64: number;
}

export const defaultTolerance: Tolerance = Object.freeze({
  float32: 1e-5,
  bfloat16: 1e-2,
  float64: 1e-10,
});

/** Where an input lies: in memory of its own, or as a range of rows inside a larger tensor. */
export type Layout = 'whole' | 'rows';

/** Tensors of one case, made of random or given values, and disposed of together. */
export class Fixture {
  readonly compute: 'float32' | 'bfloat16';
  readonly statistics: 'float32' | 'float64';
  readonly #owned: Tensor[] = [];
  /** Sources of copies that may still be under way. */
  readonly #sources: Uint8Array[] = [];

  constructor(
    readonly device: Device,
    readonly random: () => number,
    private readonly tolerance: Tolerance,
    /** Runs a reference that takes long, or gives what it gave for another device. */
    readonly reference: <T>(run: () => T) => T,
  ) {
    this.compute = device.profile.computeDType;
    this.statistics = device.profile.statisticsDType;
  }

  /** Values in [-scale, scale) as the compute dtype can hold them. */
  values(
    shape: readonly number[],
    { scale = 1, dtype = this.compute }: { scale?: number; dtype?: DType } = {},
  ): Float64Array {
    const values = new Float64Array(elementCount(shape));
    for (let i = 0; i < values.length; i += 1)
      values[i] = rounded(scale * (2 * this.random() - 1), dtype);
    return values;
  }

  /** Distinct random integers, or with repetition, in [0, limit). */
  indices(count: number, limit: number, distinct = false): number[] {
    if (!distinct) return Array.from({ length: count }, () => Math.floor(this.random() * limit));
    const all = Array.from({ length: limit }, (_, i) => ({ i, key: this.random() }));
    return all
      .sort((a, b) => a.key - b.key)
      .slice(0, count)
      .map(({ i }) => i);
  }

  /**
   * A tensor with these values. In the layout 'rows' it is a view with other rows, NaN where the
   * dtype has it, before and after.
   */
  tensor(
    values: ArrayLike<number>,
    shape: readonly number[],
    { dtype = this.compute, layout = 'whole' }: { dtype?: DType; layout?: Layout } = {},
  ): Tensor {
    if (layout === 'whole') return this.#upload(values, shape, dtype);
    const rows = at(shape, 0);
    const rest = shape.slice(1);
    const [before, after] = [3, 2];
    const width = elementCount(rest);
    const padding = dtype === 'int32' ? -1 : Number.NaN;
    const padded = new Float64Array((before + rows + after) * width).fill(padding);
    padded.set(values, before * width);
    return this.#upload(padded, [before + rows + after, ...rest], dtype).rows(
      before,
      before + rows,
    );
  }

  /** A tensor full of NaN (of -1 for int32), so that what a kernel leaves out shows. */
  output(shape: readonly number[], dtype: DType = this.compute): Tensor {
    return this.#upload(
      new Float64Array(elementCount(shape)).fill(dtype === 'int32' ? -1 : Number.NaN),
      shape,
      dtype,
    );
  }

  /** A float32 tensor of one element; of nothing none. */
  scalar(value: number | undefined): Tensor | undefined {
    return value === undefined ? undefined : this.tensor([value], [1], { dtype: 'float32' });
  }

  /** A layout of packed sequences of these lengths. */
  sequences(lengths: readonly number[]): SequenceLayout {
    const offsets = lengths.reduce((sums, length) => [...sums, (sums.at(-1) ?? 0) + length], [0]);
    const positions = lengths.flatMap((length) => Array.from({ length }, (_, i) => i));
    return {
      offsets,
      deviceOffsets: this.tensor(offsets, [offsets.length], { dtype: 'int32' }),
      positions: this.tensor(positions, [positions.length], { dtype: 'int32' }),
      maxLength: Math.max(...lengths),
    };
  }

  async read(tensor: Tensor): Promise<Float64Array> {
    return Float64Array.from(await this.device.download(tensor));
  }

  async bytes(tensor: Tensor): Promise<Uint8Array> {
    const bytes = new Uint8Array(tensor.byteLength);
    await this.device.downloadBytes(tensor, bytes);
    return bytes;
  }

  /** @param asDType whose tolerance counts, by default the tensor's own */
  async assertClose(
    tensor: Tensor,
    expected: ArrayLike<number>,
    name: string,
    asDType: DType = tensor.dtype,
  ): Promise<void> {
    const actual = await this.read(tensor);
    assert.equal(actual.length, expected.length, `${name}: elements`);
    const limit =
      this.tolerance[asDType === 'int32' ? 'float32' : asDType] *
      Math.max(largestMagnitude(expected), 1e-30);
    for (let i = 0; i < actual.length; i += 1) {
      const [value, wanted] = [actual[i] as number, expected[i] as number];
      if (!(Math.abs(value - wanted) <= limit))
        assert.fail(`${name}[${i}] is ${value}, expected ${wanted} within ${limit}`);
    }
  }

  async assertEqual(tensor: Tensor, expected: ArrayLike<number>, name: string): Promise<void> {
    assert.deepEqual(Array.from(await this.read(tensor)), Array.from(expected), name);
  }

  dispose(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose();
  }

  #upload(values: ArrayLike<number>, shape: readonly number[], dtype: DType): Tensor {
    const source = hostArray(values, dtype);
    this.#sources.push(source.bytes);
    const tensor = this.device.tensor(
      source,
      shape,
      dtype,
      'activations',
      `conformance ${shape.join('x')}`,
    );
    this.#owned.push(tensor);
    return tensor;
  }
}

/** NaN where one of the values is, which no difference is within. */
function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i += 1)
    largest = Math.max(largest, Math.abs(values[i] as number));
  return largest;
}
