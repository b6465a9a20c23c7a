import type { Batch, DiffusionLimits } from '@emloc/models';

import type { Condition, Conditioning } from './conditions.js';
import type { KeptStreams } from './kept-streams.js';
import { LatentRows } from './latent-rows.js';
import { latentRows, type LatentSize } from './latents.js';
import type { VelocityQuestion } from './sample.js';
import { samplingNoiseLevels } from './scheduler.js';

/** Numbers of the captions that an image is made from. */
export interface SampledCaptions {
  readonly positive: number;
  /** null: there is none. */
  readonly negative: number | null;
}

export interface QuestionBatchOptions {
  readonly limits: DiffusionLimits;
  readonly captions: SampledCaptions;
  readonly prompts: KeptStreams;
  readonly conditioning: Conditioning;
}

/** A question of `sample` as a batch of a transformer without its loss. */
export function questionBatch(
  question: VelocityQuestion,
  { limits, captions, prompts, conditioning }: QuestionBatchOptions,
): Promise<Batch> {
  const { latents, size } = question;
  const rows = new LatentRows({
    samples: [{ size, condition: conditionOf(question, captions), weight: 1, isCounted: true }],
    content: () => Promise.resolve({ latents, target: null }),
    ...{ limits, prompts, conditioning, hasTarget: false },
  });
  return rows.load([0]);
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
