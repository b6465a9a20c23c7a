import { at, get } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import type { Batch, BatchShape, ModelLayout, RowSource, ValueShape } from '@emloc/models';

import { BreadthFirstPass } from './breadth-first.js';
import type { PagedModel } from './paged-model.js';
import type { StreamStore } from './stream-store.js';
import { inferenceOrder, isReadAfter } from './walk.js';

/**
 * How many blocks at the beginning of a chain give a row the same streams at every step: those that
 * are worth it, as long as nothing in them is trained or emulated.
 * @param isTouched whether a linear is trained or emulated, by its module path
 */
export function frontLength(
  { blocks, linears }: ModelLayout,
  isTouched: (path: string) => boolean,
): number {
  const touched = new Set(linears.filter(({ path }) => isTouched(path)).map(({ block }) => block));
  const end = blocks.findIndex(({ isFront, index }) => !isFront || touched.has(index));
  return end < 0 ? blocks.length : end;
}

export interface FrontInputs {
  /** The whole model. */
  readonly model: PagedModel;
  /** Blocks of the front. */
  readonly blocks: number;
  readonly source: RowSource;
  /** Rows that the job works on. */
  readonly rows: readonly number[];
  /** Rows that go through the front together. Default 16. */
  readonly groupRows?: number;
  /** Keeps the streams; the caller's. */
  readonly store: StreamStore;
  readonly signal?: AbortSignal;
}

/**
 * Runs the front once for every row, each alone, so that what a row gets depends on no other row.
 * The rows then bring what the front wrote, for the rest of the chain: `restOf` the layout.
 */
export async function runFront(inputs: FrontInputs): Promise<RowSource> {
  const { model, blocks, source, rows, store, signal, groupRows = 16 } = inputs;
  const front = model.layout.blocks.slice(0, blocks);
  const streams = streamsAfter(model.layout, blocks);
  const groups = Math.ceil(rows.length / groupRows);
  model.pager.schedule(inferenceOrder(model.layout, blocks), groups);
  for (let group = 0; group < groups; group += 1) {
    const members = rows.slice(group * groupRows, (group + 1) * groupRows);
    const batches = { source, rows: members.map((row) => [row]) };
    using pass = new BreadthFirstPass({ model, batches, variants: [null], signal });
    for (const block of front) await pass.run(block);
    for (const [index, row] of members.entries())
      for (const name of streams.keys()) {
        const { buffer, shape } = get(pass.waiting(index), name);
        await store.put(row, name, { bytes: buffer.bytes, shape });
      }
  }
  return new FrontedRows(source, { model, streams, store, isNeeded: neededAfter(model, blocks) });
}

/** Streams of the front that a later block reads. */
function streamsAfter(layout: ModelLayout, blocks: number): ReadonlyMap<string, ValueShape> {
  const last = { index: blocks - 1 };
  const written = layout.blocks.slice(0, blocks).flatMap(({ program }) => [...program.outputs]);
  return new Map(written.filter(([name]) => isReadAfter(layout, last, name)));
}

/** Whether a stream that a batch brings is read by a block after the front. */
function neededAfter({ layout }: PagedModel, blocks: number): (stream: string) => boolean {
  return (stream) => isReadAfter(layout, { index: blocks - 1 }, stream);
}

interface Fronted {
  readonly model: PagedModel;
  readonly streams: ReadonlyMap<string, ValueShape>;
  readonly store: StreamStore;
  readonly isNeeded: (stream: string) => boolean;
}

class FrontedRows implements RowSource {
  constructor(
    private readonly source: RowSource,
    private readonly front: Fronted,
  ) {}

  shape(rows: readonly number[]): BatchShape {
    const shape = this.source.shape(rows);
    const own = [...shape.values].filter(([stream]) => this.front.isNeeded(stream));
    return { ...shape, values: new Map([...own, ...this.front.streams]) };
  }

  async load(rows: readonly number[]): Promise<Batch> {
    const batch = await this.source.load(rows);
    const values = new Map([...batch.values].filter(([stream]) => this.front.isNeeded(stream)));
    for (const name of this.front.streams.keys()) values.set(name, await this.#joined(rows, name));
    return { ...batch, shape: this.shape(rows), values };
  }

  /** A stream of the rows, one after another. */
  async #joined(rows: readonly number[], name: string): Promise<HostArray> {
    const parts: Uint8Array[] = [];
    for (const row of rows) parts.push((await this.front.store.get(row, name)).bytes);
    const bytes = parts.length === 1 ? at(parts, 0) : Buffer.concat(parts);
    return { bytes, dtype: this.front.model.device.profile.computeDType };
  }
}
