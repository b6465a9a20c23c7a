import type { Batch, DiffusionLimits } from '@emloc/models';

import type { Condition, Conditioning } from './conditions.js';
import type { KeptStreams } from './kept-streams.js';
import { LatentRows } from './latent-rows.js';
import { latentRows, type LatentSize } from './latents.js';
import type { Sample } from './sample-row.js';
import type { VelocityQuestion } from './sample.js';
import { samplingNoiseLevels } from './scheduler.js';

/** Numbers of the captions that an image is made from. */
export interface SampledCaptions {
  readonly positive: number;
  /** null: there is none. */
  readonly negative: number | null;
}

interface QuestionBatchOptions {
  readonly limits: DiffusionLimits;
  readonly captions: SampledCaptions;
  readonly prompts: KeptStreams;
  readonly conditioning: Conditioning;
}

/**
 * Makes a question of `sample` a batch of a transformer without its loss: one question after
 * another, so that what depends on their size alone is made once.
 */
export function questionBatches({
  limits,
  captions,
  prompts,
  conditioning,
}: QuestionBatchOptions): (question: VelocityQuestion) => Promise<Batch> {
  const samples: Sample[] = [];
  let asked: Float32Array = new Float32Array();
  const rows = new LatentRows({
    samples,
    content: () => Promise.resolve({ latents: asked, target: null }),
    ...{ limits, prompts, conditioning, hasTarget: false },
  });
  return (question) => {
    const condition = conditionOf(question, captions);
    samples[0] = { size: question.size, condition, weight: 1, isCounted: true };
    asked = question.latents;
    return rows.load([0]);
  };
}

/** What the modulation of every question of `sample` depends on, in the order of the questions. */
export function samplingConditions({
  limits,
  size,
  steps,
  guidance,
  captions,
}: {
  readonly limits: DiffusionLimits;
  readonly size: LatentSize;
  readonly steps: number;
  readonly guidance: number | null;
  readonly captions: SampledCaptions;
}): Condition[] {
  const levels = samplingNoiseLevels(limits.schedule, { steps, rows: latentRows(size, limits) });
  return levels.slice(0, -1).flatMap((noiseLevel) => {
    const positive = { noiseLevel, guidance, caption: captions.positive };
    return captions.negative === null
      ? [positive]
      : [positive, { ...positive, caption: captions.negative }];
  });
}

function conditionOf(
  { noiseLevel, guidance, prompt }: VelocityQuestion,
  { positive, negative }: SampledCaptions,
): Condition {
  if (prompt === 'positive') return { noiseLevel, guidance, caption: positive };
  if (negative === null) throw new Error('sampling: a negative prompt is asked, there is none');
  return { noiseLevel, guidance, caption: negative };
}
