import { at, get } from '@emloc/checked';
import type { Device, SequenceLayout, Tensor } from '@emloc/device';
import { longestSequence, type Batch, type BatchShape } from '@emloc/models';

import { bytesOf } from './paged-model.js';

/** A batch on the device. */
export class DeviceBatch {
  readonly integers = new Map<string, Tensor>();
  readonly layouts = new Map<string, SequenceLayout>();
  /** The streams that the batch brings; owned by the batch. */
  readonly values = new Map<string, Tensor>();
  readonly #tensors: Tensor[] = [];

  constructor(
    private readonly device: Device,
    { shape, integers, values }: Batch,
    {
      isWanted = () => true,
      positions = new Map(),
    }: {
      /** Of the streams of activations; default: all. */
      readonly isWanted?: (stream: string) => boolean;
      /** Positions of rows that are not counted from the start of their sequence, by row layout. */
      readonly positions?: ReadonlyMap<string, Int32Array>;
    } = {},
  ) {
    try {
      for (const [stream, numbers] of integers)
        this.integers.set(stream, this.#integers(numbers, `batch.${stream}`));
      for (const [rows, offsets] of shape.layouts)
        this.layouts.set(rows, {
          ...this.#layout(offsets, positions.get(rows)),
          ...gridsOf(shape, rows),
        });
      const { computeDType } = device.profile;
      for (const [stream, { rows, width }] of shape.values) {
        if (!isWanted(stream)) continue;
        const source = values.get(stream);
        const count = shape.layouts.get(rows)?.at(-1);
        if (!source || count === undefined)
          throw new Error(`a batch says that it brings ${stream} and does not`);
        const label = `batch.${stream}`;
        const tensor = device.tensor(source, [count, width], computeDType, 'activations', label);
        this.#tensors.push(tensor);
        this.values.set(stream, tensor);
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #layout(offsets: readonly number[], positions = positionsOf(offsets)): SequenceLayout {
    return {
      offsets,
      deviceOffsets: this.#integers(Int32Array.from(offsets), 'batch.offsets'),
      positions: this.#integers(positions, 'batch.positions'),
      maxLength: longestSequence(offsets),
    };
  }

  #integers(numbers: Int32Array, label: string): Tensor {
    const source = { bytes: bytesOf(numbers), dtype: 'int32' } as const;
    const tensor = this.device.tensor(source, [numbers.length], 'int32', 'activations', label);
    this.#tensors.push(tensor);
    return tensor;
  }
}

/** @throws Error where a sequence does not have the rows of its image */
function gridsOf({ layouts, grids }: BatchShape, rows: string): Pick<SequenceLayout, 'grids'> {
  const images = grids?.get(rows);
  if (!images) return {};
  const offsets = get(layouts, rows);
  const fits =
    images.length === offsets.length - 1 &&
    images.every(
      ({ height, width }, image) => at(offsets, image + 1) - at(offsets, image) === height * width,
    );
  if (fits) return { grids: images };
  throw new Error(
    `a batch has ${offsets.length - 1} sequences of ${rows} and ${images.length} grids, which differ`,
  );
}

/** Rows counted from 0 in every sequence. */
function positionsOf(offsets: readonly number[]): Int32Array {
  const positions = new Int32Array(offsets.at(-1) ?? 0);
  for (let i = 1; i < offsets.length; i += 1) {
    const start = at(offsets, i - 1);
    for (let row = start; row < at(offsets, i); row += 1) positions[row] = row - start;
  }
  return positions;
}
