import type { RopeTable } from '@emloc/autograd';
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
  /** The rotary tables that the batch brings. */
  readonly ropes = new Map<string, RopeTable>();
  readonly #tensors: Tensor[] = [];

  constructor(
    private readonly device: Device,
    batch: Batch,
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
    const { shape, integers, values } = batch;
    try {
      this.#addRopes(batch);
      for (const [stream, numbers] of integers)
        this.integers.set(stream, this.#integers(numbers, `batch.${stream}`));
      for (const [rows, offsets] of shape.layouts)
        this.layouts.set(rows, {
          ...this.#layout(offsets, positions.get(rows) ?? positionsOf(offsets, shape)),
          ...(shape.padded && { maxLength: shape.padded.longest, isReplaceable: true }),
          ...gridsOf(shape, rows),
        });
      const { computeDType } = device.profile;
      for (const [stream, { rows, width, dtype = computeDType }] of shape.values) {
        if (!isWanted(stream)) continue;
        const source = values.get(stream);
        const count = shape.layouts.get(rows)?.at(-1);
        if (!source || count === undefined)
          throw new Error(`a batch says that it brings ${stream} and does not`);
        const label = `batch.${stream}`;
        const tensor = device.tensor(source, [count, width], dtype, 'activations', label);
        this.values.set(stream, this.#own(tensor));
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** All of them, in an order that the batch's shape fixes. */
  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #addRopes({ shape, ropes }: Batch): void {
    for (const [name, { rows, width }] of shape.ropes ?? []) {
      const angles = ropes?.get(name);
      const count = shape.layouts.get(rows)?.at(-1);
      if (!angles || count === undefined)
        throw new Error(`a batch says that it brings the rotary table ${name} and does not`);
      const entries = Int32Array.from({ length: count }, (_, row) => row);
      this.ropes.set(name, {
        cos: this.#angles(angles.cos, [count, width], `batch.${name}.cos`),
        sin: this.#angles(angles.sin, [count, width], `batch.${name}.sin`),
        entries: this.#integers(entries, `batch.${name}.entries`),
      });
    }
  }

  /** Float32 whatever the device computes in: an angle is the last thing to round. */
  #angles(values: Float32Array, shape: readonly number[], label: string): Tensor {
    const source = { bytes: bytesOf(values), dtype: 'float32' } as const;
    return this.#own(this.device.tensor(source, shape, 'float32', 'activations', label));
  }

  #own(tensor: Tensor): Tensor {
    this.#tensors.push(tensor);
    return tensor;
  }

  #layout(offsets: readonly number[], positions: Int32Array): SequenceLayout {
    return {
      offsets,
      deviceOffsets: this.#integers(Int32Array.from(offsets), 'batch.offsets'),
      positions: this.#integers(positions, 'batch.positions'),
      maxLength: longestSequence(offsets),
    };
  }

  #integers(numbers: Int32Array, label: string): Tensor {
    const source = { bytes: bytesOf(numbers), dtype: 'int32' } as const;
    return this.#own(this.device.tensor(source, [numbers.length], 'int32', 'activations', label));
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

/** Rows counted from 0 in every sequence but one of padding, which no table need be as long as. */
function positionsOf(offsets: readonly number[], { padded }: BatchShape): Int32Array {
  const positions = new Int32Array(offsets.at(-1) ?? 0);
  const end = offsets.length - (padded ? 1 : 0);
  for (let i = 1; i < end; i += 1) {
    const start = at(offsets, i - 1);
    for (let row = start; row < at(offsets, i); row += 1) positions[row] = row - start;
  }
  return positions;
}
