export { FinetuneError } from './errors.js';
export type { PagedModel } from './paged-model.js';
export { blocksBeforeLoss, inferenceOrder } from './walk.js';
export { adaptedLinears, blankAdapter, initialAdapter } from './lora.js';
export { DeviceAdapter } from './device-adapter.js';
export { defaultAdamw } from './optimizer/adamw.js';
export { type OptimizerConfig } from './optimizer/create-optimizer.js';
export { defaultProdigy } from './optimizer/prodigy.js';
export { type LearningRateSchedule, scheduleKinds } from './schedule.js';
export { type TrainingState } from './training-state.js';
export {
  batchesOf,
  countMicroBatches,
  coveringBatches,
  microBatches,
  type StepBatches,
} from './step-batches.js';
export { type CarriedOptimizer } from './training-step.js';
export { train, type TrainingPause, type TrainResult } from './train.js';
export {
  frontLength,
  frontPasses,
  frontStreams,
  runFront,
  type CountedRow,
  type FrontStore,
} from './front.js';
export { coveringShape, launchBoundTokens, roundedShape } from './rounding.js';
export { runChain } from './run-chain.js';
export { BreadthFirstGradients } from './breadth-first-gradients.js';
export { BreadthFirstPass } from './breadth-first.js';
export { gradientsOf } from './gradients.js';
export {
  generate,
  rehearseGeneration,
  type GeneratedAnswer,
  type GenerateOptions,
  type GenerationGroup,
  type GenerationSource,
} from './generation/generate.js';
export { cacheBytes } from './generation/sequence-cache.js';
export type { Sampling } from './generation/sampling.js';
export { evaluate, type EvaluateOptions, type Scorer } from './evaluate.js';
