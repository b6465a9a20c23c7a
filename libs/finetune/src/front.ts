import { get } from '@emloc/checked';
import type { ModelLayout, RowSource, ValueShape } from '@emloc/models';

import { BreadthFirstPass } from './breadth-first.js';
import { passBytes, splitPasses, waitingBytes } from './evaluate.js';
import type { PagedModel } from './paged-model.js';
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

/** Takes over what a front makes of its rows. */
export interface FrontStore {
  /**
   * @param bytes (rows, width) of the stream in the device's compute dtype, which change after the
   * call
   */
  put(row: number, stream: string, bytes: Uint8Array): Promise<void>;
}

export interface FrontInputs {
  /** The whole model, of which the pager has at least the front's pages. */
  readonly model: PagedModel;
  /** Blocks of the front. */
  readonly blocks: number;
  readonly source: RowSource;
  /** Rows whose streams are wanted. */
  readonly rows: readonly number[];
  readonly store: FrontStore;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs the front, or a whole chain that ends in no loss, once for every row, each alone, so that
 * what a row gets depends on no other row. What it wrote goes into the store: batches can bring it
 * to the rest of the chain, `restOf` the layout. Rows go through together, as many as the host has
 * room for.
 */
export async function runFront(inputs: FrontInputs): Promise<void> {
  const { model, blocks, source, rows, store, signal } = inputs;
  const streams = [...frontStreams(model.layout, blocks).keys()];
  const batches = { source, rows: rows.map((row) => [row]) };
  const passes = splitPasses(batches, passBytes(model, 1, blocks));
  model.pager.schedule(inferenceOrder(model.layout, blocks), passes.length);
  let done = 0;
  for (const members of passes) {
    using pass = new BreadthFirstPass({
      model,
      batches: { source, rows: members },
      variants: [null],
      signal,
    });
    for (const block of model.layout.blocks.slice(0, blocks)) {
      await pass.run(block);
      inputs.onProgress?.((done += 1), passes.length * blocks);
    }
    for (const [index, [row]] of members.entries())
      for (const stream of streams)
        if (row !== undefined)
          await store.put(row, stream, get(pass.waiting(index), stream).buffer.bytes);
  }
}

/** A row that as many are like. */
export interface CountedRow {
  readonly row: number;
  readonly count: number;
}

/** About how many passes over the weights `runFront` takes for these rows. */
export function frontPasses(
  {
    model,
    blocks,
    source,
  }: Pick<FrontInputs, 'blocks' | 'source'> & {
    readonly model: Pick<PagedModel, 'layout' | 'device'>;
  },
  rows: readonly CountedRow[],
): number {
  const bytes = passBytes(model, 1, blocks);
  const all = rows.reduce((sum, { row, count }) => sum + count * bytes.of(source.shape([row])), 0);
  return Math.max(1, Math.ceil(all / waitingBytes));
}

/**
 * Streams of the front that a later block reads; of a whole chain those that its last block
 * writes.
 */
export function frontStreams(layout: ModelLayout, blocks: number): ReadonlyMap<string, ValueShape> {
  const last = { index: blocks - 1 };
  const written = layout.blocks.slice(0, blocks).flatMap(({ program }) => [...program.outputs]);
  return new Map(written.filter(([name]) => isReadAfter(layout, last, name)));
}
