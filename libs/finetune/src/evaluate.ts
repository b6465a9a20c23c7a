import { at } from '@emloc/checked';
import type { PackedBatch } from '@emloc/dataset';
import { bytesPerElement, type Device } from '@emloc/device';

import { BreadthFirstPass, type BreadthFirstOptions } from './breadth-first.js';
import { FinetuneError } from './errors.js';
import type { HeadResult } from './head.js';
import { inferenceOrder } from './paged-model.js';

/** Scores of one variant over all batches. */
export interface Evaluation {
  /** Σ NLL / Σ trained-on tokens. */
  readonly loss: number;
  /** Share of the trained-on tokens that are the argmax. */
  readonly tokenAccuracy: number;
  /** Share of the rows that were not cut and in which every trained-on token is the argmax. */
  readonly exactMatch: number;
  readonly rows: number;
  /** Trained-on tokens. */
  readonly tokens: number;
}

/**
 * Hidden states that wait in host memory during a pass take about this much; more rows make more
 * passes.
 */
const hiddenStateBytes = 2 ** 30;

/**
 * Scores several adapters (null: none) in one pass over the paged model, or in several where the
 * hidden states of all batches would fill the host; one evaluation per variant.
 * @throws FinetuneError FINETUNE_NO_TARGETS, FINETUNE_NON_FINITE
 */
export async function evaluate(
  options: BreadthFirstOptions & { readonly onProgress?: (done: number, total: number) => void },
): Promise<readonly Evaluation[]> {
  const { model, batches, variants } = options;
  if (!batches.some(({ trainedTokens }) => trainedTokens > 0)) {
    throw new FinetuneError('FINETUNE_NO_TARGETS', 'no row has a token to score');
  }
  const passes = splitPasses(
    batches,
    hiddenStateBytes /
      (model.layout.hiddenSize *
        bytesPerElement[model.device.profile.computeDType] *
        variants.length),
  );
  const scores = variants.map(() => new Score());
  model.pager.schedule(inferenceOrder(model.layout, true), passes.length);
  for (const [index, pass] of passes.entries()) {
    const before = index * unitsOf(options);
    await runPass({ ...options, batches: pass }, scores, (done) =>
      options.onProgress?.(before + done, passes.length * unitsOf(options)),
    );
  }
  return scores.map((score) => score.finish());
}

function unitsOf({ model }: BreadthFirstOptions): number {
  return model.layout.blockCount + 2;
}

async function runPass(
  options: BreadthFirstOptions,
  scores: readonly Score[],
  onUnit: (done: number) => void,
): Promise<void> {
  const { model } = options;
  const pass = new BreadthFirstPass(options);
  try {
    await pass.embed();
    onUnit(1);
    for (let block = 0; block < model.layout.blockCount; block += 1) {
      await pass.block(block);
      onUnit(block + 2);
    }
    await pass.head(async (result, { batch, variant }) =>
      at(scores, variant).add(model.device, result, batch),
    );
    onUnit(unitsOf(options));
  } finally {
    pass.close();
  }
}

/** Consecutive batches of up to so many tokens together, or of one batch that has more. */
function splitPasses(batches: readonly PackedBatch[], tokens: number): PackedBatch[][] {
  const passes: PackedBatch[][] = [];
  let free = 0;
  for (const batch of batches) {
    if (passes.length === 0 || batch.tokens > free) {
      passes.push([]);
      free = tokens;
    }
    passes.at(-1)?.push(batch);
    free -= batch.tokens;
  }
  return passes;
}

/** Sums in float64 on the host, in the order of the batches. */
class Score {
  #nll = 0;
  #tokens = 0;
  #correct = 0;
  #rows = 0;
  #exact = 0;

  async add(
    device: Device,
    { losses, predictions }: HeadResult,
    batch: PackedBatch,
  ): Promise<void> {
    const nll = await device.download(losses);
    const predicted = await device.download(predictions);
    let target = 0;
    for (let row = 0; row + 1 < batch.offsets.length; row += 1) {
      const end = at(batch.offsets, row + 1);
      let isExact = true;
      for (; target < batch.targets.length && at(batch.targetRows, target) < end; target += 1) {
        const isCorrect = predicted[target] === batch.targets[target];
        this.#nll += at(nll, target);
        this.#correct += isCorrect ? 1 : 0;
        isExact &&= isCorrect;
      }
      this.#rows += 1;
      this.#exact += isExact && !at(batch.isCut, row) ? 1 : 0;
    }
    this.#tokens += batch.targets.length;
  }

  finish(): Evaluation {
    const loss = this.#nll / this.#tokens;
    if (!Number.isFinite(loss))
      throw new FinetuneError('FINETUNE_NON_FINITE', `evaluation: loss ${loss}`);
    return {
      loss,
      tokenAccuracy: this.#correct / this.#tokens,
      exactMatch: this.#exact / this.#rows,
      rows: this.#rows,
      tokens: this.#tokens,
    };
  }
}
