import type { ImageSize } from '@emloc/images';
import type { DiffusionLimits } from '@emloc/models';
import { samplingConditions, type Condition, type SampledCaptions } from '@emloc/tasks';

import { latentSize } from './picture-set.js';

/** What a picture is made from. */
export interface PictureRequest {
  /** Numbers of captions. */
  readonly captions: SampledCaptions;
  /** In pixels. */
  readonly size: ImageSize;
  /** From noise to the picture. */
  readonly steps: number;
  /** What the model is told; null: it takes none. */
  readonly guidance: number | null;
  /** See SampleOptions; null: there is no negative prompt. */
  readonly negativeScale: number | null;
  readonly seed: number;
}

/** What the modulation of all steps of a picture depends on. */
export function requestConditions(
  { captions, size, steps, guidance }: PictureRequest,
  limits: DiffusionLimits,
): Condition[] {
  return samplingConditions({
    ...{ limits, captions, steps, guidance },
    size: latentSize(size, limits),
  });
}

/** Guidance scale that pictures are made with where nothing is said. */
export const usualGuidance = 3.5;

/** A request that takes the same memory in least time. */
export function shortest(request: PictureRequest): PictureRequest {
  const { positive } = request.captions;
  return { ...request, steps: 1, captions: { positive, negative: null }, negativeScale: null };
}
