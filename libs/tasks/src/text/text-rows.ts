import { at } from '@emloc/checked';
import { packBatch, type EncodedRow, type PackedBatch } from '@emloc/dataset';
import type { Batch, BatchShape, RowSource } from '@emloc/models';

/** Encoded rows of a text as batches of a decoder's chain. */
export class TextRows implements RowSource {
  /** By the list of row numbers: a batch is asked for at every step of a chain. */
  readonly #packed = new WeakMap<readonly number[], PackedBatch>();

  constructor(private readonly rows: readonly EncodedRow[]) {}

  get count(): number {
    return this.rows.length;
  }

  /** Of all rows. */
  get tokens(): number {
    return this.rows.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** The rows of a batch, one after another. */
  packed(rows: readonly number[]): PackedBatch {
    const known = this.#packed.get(rows);
    if (known) return known;
    const batch = packBatch(rows.map((row) => at(this.rows, row)));
    this.#packed.set(rows, batch);
    return batch;
  }

  shape(rows: readonly number[]): BatchShape {
    return shapeOf(this.packed(rows));
  }

  load(rows: readonly number[]): Promise<Batch> {
    const batch = this.packed(rows);
    const { ids, targetRows, targets } = batch;
    const integers = new Map(Object.entries({ ids, targetRows, targets }));
    return Promise.resolve({ shape: shapeOf(batch), integers, values: new Map() });
  }
}

function shapeOf({ ids, offsets, targets }: PackedBatch): BatchShape {
  const [tokens, trained] = [ids.length, targets.length];
  return {
    layouts: new Map([['tokens', offsets]]),
    integers: new Map(Object.entries({ ids: tokens, targetRows: trained, targets: trained })),
    values: new Map(),
    lossWeight: trained,
    items: tokens,
  };
}

/** Numbers of rows in order, `batchRows` to a batch. */
export function consecutive(count: number, batchRows: number): (readonly number[])[] {
  return Array.from({ length: Math.ceil(count / batchRows) }, (_, batch) =>
    Array.from(
      { length: Math.min(batchRows, count - batch * batchRows) },
      (_row, index) => batch * batchRows + index,
    ),
  );
}
