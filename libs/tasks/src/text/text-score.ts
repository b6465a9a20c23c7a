import { at, get } from '@emloc/checked';
import type { PackedBatch } from '@emloc/dataset';
import type { Device, Tensor } from '@emloc/device';
import { evaluate, FinetuneError, type Scorer } from '@emloc/finetune';
import type { Batches, RowSource } from '@emloc/models';

import type { Score, Scoring } from '../task-rows.js';

/** Scores of one variant over all batches; `loss` is Σ NLL / Σ trained-on tokens. */
export interface Evaluation extends Score {
  /** Share of the trained-on tokens that are the argmax. */
  readonly tokenAccuracy: number;
  /** Share of the rows that were not cut and in which every trained-on token is the argmax. */
  readonly exactMatch: number;
  readonly rows: number;
  /** Trained-on tokens. */
  readonly tokens: number;
}

/** Batches of rows that are packed one after another. */
interface PackedBatches extends Batches {
  readonly source: RowSource & { packed(rows: readonly number[]): PackedBatch };
}

interface TextEvaluation extends Scoring {
  readonly batches: PackedBatches;
}

/** One evaluation per variant. @throws FinetuneError FINETUNE_NO_TARGETS, FINETUNE_NON_FINITE */
export async function evaluateText(options: TextEvaluation): Promise<readonly Evaluation[]> {
  const { source, rows } = options.batches;
  if (!rows.some((batch) => source.shape(batch).lossWeight > 0))
    throw new FinetuneError('FINETUNE_NO_TARGETS', 'no row has a token to score');
  return evaluate({ ...options, scorer: () => new TextScorer(options) });
}

/** Sums in float64 on the host, in the order of the batches. */
class TextScorer implements Scorer<Evaluation> {
  #nll = 0;
  #tokens = 0;
  #correct = 0;
  #rows = 0;
  #exact = 0;

  constructor(private readonly options: Pick<TextEvaluation, 'batches' | 'nonFinite'>) {}

  async add(device: Device, results: ReadonlyMap<string, Tensor>, batch: number): Promise<void> {
    const nll = await device.download(get(results, 'losses'));
    const predicted = await device.download(get(results, 'predictions'));
    const { source, rows } = this.options.batches;
    this.#count(source.packed(at(rows, batch)), { nll, predicted });
  }

  finish(): Evaluation {
    const loss = this.#nll / this.#tokens;
    if (!Number.isFinite(loss) && this.options.nonFinite !== 'tell')
      throw new FinetuneError('FINETUNE_NON_FINITE', `evaluation: loss ${loss}`);
    return {
      loss,
      tokenAccuracy: this.#correct / this.#tokens,
      exactMatch: this.#exact / this.#rows,
      rows: this.#rows,
      tokens: this.#tokens,
    };
  }

  #count(
    batch: PackedBatch,
    { nll, predicted }: { nll: ArrayLike<number>; predicted: ArrayLike<number> },
  ): void {
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
}
