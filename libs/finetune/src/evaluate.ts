import { at } from '@emloc/checked';
import { bytesPerElement, type Device, type Tensor } from '@emloc/device';
import type { Batches, BatchShape, ModelLayout } from '@emloc/models';

import { BreadthFirstPass, type BreadthFirstOptions } from './breadth-first.js';
import type { PagedModel } from './paged-model.js';
import { inferenceOrder, isReadAfter } from './walk.js';

/** Collects what the loss gives for the batches of one variant. */
export interface Scorer<Score> {
  /** In the order of the batches; `results` are not its own. */
  add(device: Device, results: ReadonlyMap<string, Tensor>, batch: number): Promise<void>;
  finish(): Score;
}

export interface EvaluateOptions<Score> extends BreadthFirstOptions {
  /** Makes the scorer of a variant. */
  readonly scorer: () => Scorer<Score>;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Streams that wait in host memory during a pass take about this much; more batches make more
 * passes.
 */
export const waitingBytes = 2 ** 30;

/**
 * Scores several adapters (null: none) in one pass over the paged model, or in several where the
 * streams of all batches would fill the host; one score per variant.
 */
export async function evaluate<Score>(options: EvaluateOptions<Score>): Promise<readonly Score[]> {
  const { model, batches, variants } = options;
  const { blocks } = model.layout;
  const passes = splitPasses(batches, passBytes(model, variants.length));
  const scorers = variants.map(() => options.scorer());
  model.pager.schedule(inferenceOrder(model.layout), passes.length);
  let [done, before] = [0, 0];
  for (const rows of passes) {
    using pass = new BreadthFirstPass({ ...options, batches: { ...batches, rows } });
    for (const block of blocks) {
      await pass.run(block, {
        onResults: (results, { batch, variant }) =>
          results.size === 0
            ? Promise.resolve()
            : at(scorers, variant).add(model.device, results, before + batch),
      });
      done += 1;
      options.onProgress?.(done, passes.length * blocks.length);
    }
    before += rows.length;
  }
  return scorers.map((scorer) => scorer.finish());
}

interface PassBytes {
  of(shape: BatchShape): number;
}

/**
 * What the streams of a batch take while they wait, at most at a time, for all variants.
 * @param blocks how many of the chain are run; default: all
 */
export function passBytes(
  { layout, device }: Pick<PagedModel, 'layout' | 'device'>,
  variants: number,
  blocks = layout.blocks.length,
): PassBytes {
  const elementBytes = bytesPerElement[device.profile.computeDType] * variants;
  const widths = widestStreams(layout, blocks);
  return {
    of: ({ layouts }) =>
      [...widths].reduce(
        (sum, [rows, width]) => sum + (layouts.get(rows)?.at(-1) ?? 0) * width * elementBytes,
        0,
      ),
  };
}

/** By row layout: the most columns that wait after one of the first so many blocks. */
function widestStreams(layout: ModelLayout, blocks: number): ReadonlyMap<string, number> {
  const widest = new Map<string, number>();
  const written = new Map<string, { readonly rows: string; readonly width: number }>();
  for (const block of layout.blocks.slice(0, blocks)) {
    for (const [stream, value] of block.program.outputs) written.set(stream, value);
    const waiting = new Map<string, number>();
    for (const [stream, { rows, width }] of written)
      if (isReadAfter(layout, block, stream)) waiting.set(rows, (waiting.get(rows) ?? 0) + width);
    for (const [rows, width] of waiting) widest.set(rows, Math.max(width, widest.get(rows) ?? 0));
  }
  return widest;
}

/** Consecutive batches whose streams take up to the limit, or one that takes more. */
export function splitPasses({ source, rows }: Batches, bytes: PassBytes): (readonly number[])[][] {
  const passes: (readonly number[])[][] = [];
  let free = 0;
  for (const batch of rows) {
    const needed = bytes.of(source.shape(batch));
    if (passes.length === 0 || needed > free) {
      passes.push([]);
      free = waitingBytes;
    }
    passes.at(-1)?.push(batch);
    free -= needed;
  }
  return passes;
}
