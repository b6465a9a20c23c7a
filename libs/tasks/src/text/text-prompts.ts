import { get } from '@emloc/checked';
import type { GenerationSource } from '@emloc/finetune';
import type { Batch, BatchShape, RowSource } from '@emloc/models';

import { TextRows } from './text-rows.js';
import type { TextTables } from './text-tables.js';

/** Row layout of everything that has a row a token. */
const tokens = 'tokens';

/**
 * Rows of a chain over tokens as prompts, which go on token by token. What else a row brings, such
 * as images, it brings with its prompt; the tokens after that bring what tables have of them, and
 * nothing else.
 */
export class Prompts implements GenerationSource {
  readonly prompts: RowSource;

  /** @param rows of at least one token each; what is trained on in them does not count */
  constructor(private readonly rows: RowSource & Partial<Pick<TextRows, 'lookUp'>>) {
    this.prompts = {
      shape: (numbers) => endingShape(rows.shape(numbers)),
      load: async (numbers, isWanted) => endingBatch(await rows.load(numbers, isWanted)),
    };
  }

  stepShape(count: number): BatchShape {
    const { layouts, integers, values } = this.rows.shape([]);
    const offsets = Array.from({ length: count + 1 }, (_, row) => row);
    return endingShape({
      ...{ layouts: new Map([...layouts, [tokens, offsets]]), values, lossWeight: 0 },
      ...{ integers: new Map(integers).set('ids', count), items: count },
    });
  }

  async step(next: Int32Array): Promise<Batch> {
    const shape = this.stepShape(next.length);
    const none = new Map<string, Int32Array>();
    for (const stream of shape.integers.keys()) none.set(stream, new Int32Array());
    const noBytes = { bytes: new Uint8Array(), dtype: 'float32' } as const;
    const noRows = [...shape.values.keys()].map((stream) => [stream, noBytes] as const);
    return endingBatch({
      shape,
      integers: none.set('ids', next),
      values: new Map([...noRows, ...((await this.rows.lookUp?.(next)) ?? [])]),
    });
  }
}

/** Prompts of text alone. */
export class TextPrompts extends Prompts {
  /** @param ids of each prompt, at least one */
  constructor(ids: readonly Int32Array[], tables?: TextTables) {
    const rows = ids.map((each) => ({ ids: each, trained: new Uint8Array(each.length), line: 0 }));
    super(new TextRows(rows, null, tables));
  }
}

/** A batch in which the last token of each sequence predicts, and nothing else. */
function endingBatch(batch: Batch): Batch {
  const ends = get(batch.shape.layouts, tokens).slice(1);
  const targetRows = Int32Array.from(ends, (end) => end - 1);
  // What comes next is not known: any target will do.
  const targets = new Int32Array(ends.length);
  const integers = new Map([...batch.integers, ...Object.entries({ targetRows, targets })]);
  return { ...batch, shape: endingShape(batch.shape), integers };
}

function endingShape(shape: BatchShape): BatchShape {
  const count = get(shape.layouts, tokens).length - 1;
  const counts = Object.entries({ targetRows: count, targets: count });
  return { ...shape, integers: new Map([...shape.integers, ...counts]), lossWeight: count };
}
