export { FinetuneError, type FinetuneErrorCode } from './errors.js';
export {
  type PagedModel,
  type PassContext,
  openPass,
  trainingOrder,
  inferenceOrder,
} from './paged-model.js';
export { DeviceBatch } from './device-batch.js';
export { headChunkRows } from './head.js';
export { type LoraConfig, adaptedLinears, initialAdapter } from './lora.js';
export { DeviceAdapter } from './device-adapter.js';
export { type AdamwConfig, type AdamwMoments, AdamwState, defaultAdamw } from './optimizer.js';
export {
  learningRateAt,
  type LearningRateSchedule,
  scheduleKinds,
  type ScheduleKind,
} from './schedule.js';
export { type TrainingCheckpoint, type TrainingState } from './training-state.js';
export { train, type StepReport, type TrainOptions, type TrainResult } from './train.js';
export { type BlockVisit, type BreadthFirstOptions, BreadthFirstPass } from './breadth-first.js';
export { evaluate, type Evaluation } from './evaluate.js';
export { generate, type GenerateOptions, type GenerationPrompt } from './generate.js';
