export { ImageSet } from './images/image-set.js';
export { PatchValues } from './images/patch-values.js';
export { blankTiles, patchRows, projectedRows, type TileValues } from './images/tiles.js';
export { consecutive, TextRows, type TextImages } from './text/text-rows.js';
export { Prompts, TextPrompts } from './text/text-prompts.js';
export { evaluateText, type Evaluation, type TextBatches } from './text/text-score.js';
export { DiffusionError } from './diffusion/errors.js';
export {
  decoderLatents,
  unpackLatents,
  type LatentSize,
  type PatchLimits,
} from './diffusion/latents.js';
export { sample, type EvaluateVelocity, type VelocityQuestion } from './diffusion/sample.js';
export { samplingNoiseLevels } from './diffusion/scheduler.js';
export { ScoreError } from './scores/errors.js';
export { createMetric, metricNames, metrics, type MetricName } from './scores/metrics.js';
export { referenceOf, type Reference } from './scores/reference.js';
