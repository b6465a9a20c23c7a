export { ImageSet } from './images/image-set.js';
export { PatchValues } from './images/patch-values.js';
export { blankTiles, patchRows, projectedRows, type TileValues } from './images/tiles.js';
export type { Score, TaskBatches, TaskRows } from './task-rows.js';
export {
  consecutive,
  consecutiveTokens,
  TextRows,
  type TextBatches,
  type TextImages,
} from './text/text-rows.js';
export { Prompts, TextPrompts } from './text/text-prompts.js';
export { TextTables } from './text/text-tables.js';
export { evaluateText, type Evaluation } from './text/text-score.js';
export {
  ConditionRows,
  ConditionSet,
  givenConditioning,
  keptConditioning,
  type Condition,
  type Conditioning,
} from './diffusion/conditions.js';
export {
  evaluateDraws,
  type DrawBatches,
  type DrawEvaluation,
} from './diffusion/diffusion-score.js';
export { conditionOf, drawRows, plainLosses, type DrawLosses } from './diffusion/draw-rows.js';
export {
  fixedDraws,
  heldOutPictures,
  numbersOf,
  pictureLevelShares,
  trainingDraws,
  type Draws,
  type Draw,
  type Picture,
} from './diffusion/draws.js';
export { blankStreams, readStreams, type KeptStreams } from './diffusion/kept-streams.js';
export type { LatentRows } from './diffusion/latent-rows.js';
export {
  decoderLatents,
  packLatents,
  unpackLatents,
  type LatentSize,
} from './diffusion/latents.js';
export { assertNoiseScheme, type NoiseScheme } from './diffusion/noise-levels.js';
export {
  questionBatches,
  samplingConditions,
  type SampledCaptions,
} from './diffusion/sampling-batch.js';
export { sample, type EvaluateVelocity } from './diffusion/sample.js';
export { samplingNoiseLevels } from './diffusion/scheduler.js';
export { ScoreError } from './scores/errors.js';
export { createMetric, metricNames, metrics, type MetricName } from './scores/metrics.js';
export { referenceOf, type Reference } from './scores/reference.js';
