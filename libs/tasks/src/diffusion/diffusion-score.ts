import { at, get } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';
import { evaluate, FinetuneError, type Scorer } from '@emloc/finetune';
import { diffusionRows } from '@emloc/models';

import type { Score, Scoring } from '../task-rows.js';
import type { SampleSource } from './sample-row.js';

/** The error where noise levels are within (`above`, `upTo`]. */
interface NoiseBand {
  readonly above: number;
  readonly upTo: number;
  /** null: no draw is there. */
  readonly loss: number | null;
  readonly draws: number;
}

/**
 * Scores of one variant over all draws; `loss` is the mean over the numbers of all latents of
 * (predicted velocity − velocity)².
 */
export interface DrawEvaluation extends Score {
  /** From the least noise to the most. */
  readonly bands: readonly NoiseBand[];
  readonly draws: number;
  /** Rows of latents. */
  readonly rows: number;
}

/** Batches of draws. */
export interface DrawBatches {
  readonly source: SampleSource;
  readonly rows: readonly (readonly number[])[];
}

interface DrawEvaluationOptions extends Scoring {
  /** With a target, and weights of 1. */
  readonly batches: DrawBatches;
}

const bandCount = 3;

/**
 * Scores several adapters (null: none) on draws; one evaluation per variant.
 * @throws FinetuneError FINETUNE_NO_TARGETS, FINETUNE_NON_FINITE
 */
export async function evaluateDraws(
  options: DrawEvaluationOptions,
): Promise<readonly DrawEvaluation[]> {
  if (!options.batches.rows.some((batch) => batch.length > 0))
    throw new FinetuneError('FINETUNE_NO_TARGETS', 'there is no draw to score');
  return evaluate({ ...options, scorer: () => new DrawScorer(options) });
}

interface BandSum {
  loss: number;
  rows: number;
  draws: number;
}

/** Sums in float64 on the host, in the order of the batches. */
class DrawScorer implements Scorer<DrawEvaluation> {
  readonly #bands: readonly BandSum[] = Array.from({ length: bandCount }, () => ({
    ...{ loss: 0, rows: 0, draws: 0 },
  }));

  constructor(private readonly options: Pick<DrawEvaluationOptions, 'batches' | 'nonFinite'>) {}

  async add(device: Device, results: ReadonlyMap<string, Tensor>, batch: number): Promise<void> {
    const losses = await device.download(get(results, 'losses'));
    const { source, rows } = this.options.batches;
    const numbers = at(rows, batch);
    const offsets = get(source.shape(numbers).layouts, diffusionRows.latents);
    for (const [index, { condition }] of source.samples(numbers).entries()) {
      const band = at(this.#bands, bandOf(condition.noiseLevel));
      const [start, end] = [at(offsets, index), at(offsets, index + 1)];
      for (let row = start; row < end; row += 1) band.loss += at(losses, row);
      band.rows += end - start;
      band.draws += 1;
    }
  }

  finish(): DrawEvaluation {
    const total = (field: keyof BandSum): number =>
      this.#bands.reduce((sum, band) => sum + band[field], 0);
    const loss = total('loss') / total('rows');
    if (!Number.isFinite(loss) && this.options.nonFinite !== 'tell')
      throw new FinetuneError('FINETUNE_NON_FINITE', `evaluation: loss ${loss}`);
    const bands = this.#bands.map((band, index) => ({
      above: index / bandCount,
      upTo: (index + 1) / bandCount,
      loss: band.rows === 0 ? null : band.loss / band.rows,
      draws: band.draws,
    }));
    return { loss, bands, draws: total('draws'), rows: total('rows') };
  }
}

function bandOf(noiseLevel: number): number {
  return Math.min(bandCount - 1, Math.max(0, Math.ceil(noiseLevel * bandCount) - 1));
}
