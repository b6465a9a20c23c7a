import type { RopeTable } from '@emloc/autograd';
import type { Device, Tensor } from '@emloc/device';
import {
  longestSequence,
  ropeTables,
  type Batches,
  type BatchShape,
  type ModelLayout,
  type RowSource,
} from '@emloc/models';
import type { Pager } from '@emloc/weight-pager';

/** A model whose pages come and go through a pager: the original, or an emulator of it. */
export interface PagedModel {
  readonly device: Device;
  readonly layout: ModelLayout;
  readonly pager: Pager;
  /**
   * The longest row of the whole job, which some rotary tables depend on; absent: that of each
   * pass.
   */
  readonly longestRow?: number;
  /**
   * Rank of a linear layer that is kept as factors, by its path: beyond it their tensors hold
   * zeros. Null where it is not known; absent: nowhere known.
   */
  rankOf?(path: string): number | null;
}

/** What every block of a pass shares: rotary tables. */
export class PassContext {
  readonly ropes = new Map<string, RopeTable>();
  readonly #tensors: Tensor[] = [];

  /** @throws ModelError where rows of this length are not supported */
  constructor(
    private readonly model: PagedModel,
    batches: Iterable<BatchShape>,
  ) {
    try {
      const longestOf = longestRows(batches);
      for (const [name, { spec, rows }] of model.layout.ropes) {
        const longest = Math.max(1, longestOf.get(rows) ?? 0);
        const frequencies = spec.frequencies(Math.max(longest, model.longestRow ?? 0));
        const tables = ropeTables(frequencies, longest);
        this.ropes.set(name, {
          cos: this.#upload(tables.cos, longest, `${name}.cos`),
          sin: this.#upload(tables.sin, longest, `${name}.sin`),
        });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** For batches of which no more than the sizes are looked at, one after another. */
  static of(
    model: PagedModel,
    { source, rows }: { readonly source: RowSource; readonly rows: Iterable<readonly number[]> },
  ): PassContext {
    return new PassContext(model, shapesIn(source, rows));
  }

  /** All of them, in the order of the model's tables. */
  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  close(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #upload(values: Float32Array, positions: number, label: string): Tensor {
    const { device } = this.model;
    const shape = [positions, values.length / positions];
    const source = { bytes: bytesOf(values), dtype: 'float32' } as const;
    const tensor = device.tensor(source, shape, 'float32', 'activations', `rope.${label}`);
    this.#tensors.push(tensor);
    return tensor;
  }
}

/** By layout: rows of the longest sequence in any of the batches. */
function longestRows(batches: Iterable<BatchShape>): ReadonlyMap<string, number> {
  const longest = new Map<string, number>();
  for (const { layouts } of batches)
    for (const [rows, offsets] of layouts)
      longest.set(rows, Math.max(longest.get(rows) ?? 0, longestSequence(offsets)));
  return longest;
}

function* shapesIn(source: RowSource, batches: Iterable<readonly number[]>): Generator<BatchShape> {
  for (const rows of batches) yield source.shape(rows);
}

/** The sizes of batches. */
export function shapesOf({ source, rows }: Batches): BatchShape[] {
  return rows.map((numbers) => source.shape(numbers));
}

/** The memory of a typed array as bytes. */
export function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A float32 tensor of one element. */
export function scalarTensor(device: Device, value: number, label: string): Tensor {
  const source = { bytes: bytesOf(Float32Array.of(value)), dtype: 'float32' } as const;
  return device.tensor(source, [1], 'float32', 'activations', label);
}
