export type { Batch, Batches, BatchShape, RowSource, ValueShape } from './batch.js';
export { longestSequence } from './batch.js';
export { paddedBatch, paddedShape, textSizeOf, type TextSize } from './padded-batch.js';
export {
  adaptableModules,
  layoutFrom,
  linearModules,
  lossBlock,
  parameterCount,
  pathOfBlock,
  restOf,
  textLimits,
  weightPlace,
  type Block,
  type BlockDeclaration,
  type ModelLayout,
  type HostTable,
  type ModelLinear,
  type TextLimits,
} from './layout.js';
export type { DiffusionLimits, NoiseSchedule } from './diffusion-limits.js';
export {
  diffusionPlaces,
  diffusionRows,
  diffusionSizes,
  diffusionStreams,
  noiseFeatures,
  type DiffusionSample,
} from './flux/streams.js';
export type { ImageLimits } from './image-limits.js';
export { imageRows, imageStreams, visionStreams } from './internvl/streams.js';
export { predictionLayout } from './prediction-layout.js';
export { layoutOf } from './layout-of.js';
export { type Model, openModel } from './open-model.js';
export type { TableReader } from './host-tables.js';
export { type DiffusionModel, isDiffusionFolder, openDiffusionModel } from './open-diffusion.js';
export { fluxLayouts, type FluxConfigs } from './flux/components.js';
export {
  encoderStreams,
  imageBatch,
  latentBatch,
  pooledBatch,
  promptBatch,
} from './flux/encoder-streams.js';
export {
  factorNames,
  overlaySource,
  quantizedLinears,
  pagesSource,
  sliceSource,
  type SourceSlice,
  type TensorOverlay,
} from './sources.js';
export { bindBlock } from './bind.js';
export { ropeTables } from './rope.js';
