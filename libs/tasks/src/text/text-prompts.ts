import { at } from '@emloc/checked';
import type { GenerationSource } from '@emloc/finetune';
import type { Batch, BatchShape, RowSource } from '@emloc/models';

/** Prompts of a decoder's chain, which go on token by token. */
export class TextPrompts implements GenerationSource {
  readonly prompts: RowSource;

  /** @param ids of each prompt, at least one */
  constructor(ids: readonly Int32Array[]) {
    const rowsOf = (rows: readonly number[]) => rows.map((row) => at(ids, row));
    this.prompts = {
      shape: (rows) => shapeOf(rowsOf(rows)),
      load: (rows) => Promise.resolve(batchOf(rowsOf(rows))),
    };
  }

  step(next: Int32Array): Batch {
    return batchOf(Array.from(next, (id) => Int32Array.of(id)));
  }
}

/** Sequences whose last token predicts; what comes after it is not known, so any target will do. */
function batchOf(sequences: readonly Int32Array[]): Batch {
  const shape = shapeOf(sequences);
  const offsets = shape.layouts.get('tokens') ?? [];
  const ids = new Int32Array(offsets.at(-1) ?? 0);
  sequences.forEach((sequence, index) => ids.set(sequence, at(offsets, index)));
  const integers = {
    ids,
    targetRows: Int32Array.from(offsets.slice(1), (end) => end - 1),
    targets: new Int32Array(sequences.length),
  };
  return { shape, integers: new Map(Object.entries(integers)), values: new Map() };
}

function shapeOf(sequences: readonly Int32Array[]): BatchShape {
  const offsets = [0];
  for (const { length } of sequences) offsets.push((offsets.at(-1) ?? 0) + length);
  const [ids, count] = [offsets.at(-1) ?? 0, sequences.length];
  return {
    layouts: new Map([['tokens', offsets]]),
    integers: new Map(Object.entries({ ids, targetRows: count, targets: count })),
    values: new Map(),
    lossWeight: count,
    items: ids,
  };
}
