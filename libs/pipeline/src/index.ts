export { PipelineError } from './errors.js';
export {
  resolveEvaluateOptions,
  resolvePreviewOptions,
  resolveTuneOptions,
  type TuneOptions,
  defaultTuneOptions,
  defaultCheckpointSteps,
  utcDay,
} from './options.js';
export type { OptionCommand, OptionSpec } from './options/kinds.js';
export { optionsFor, optionTable, type NamedOption, type OptionsOf } from './options/table.js';
export { stageNames, type StageName, type JobEvent, type JobObserver } from './observer.js';
export { jobNotices, prepareJob, type Job } from './job.js';
export { type MemoryPlan, type JobEnvironment } from './environment.js';
export { emulatorSource, type FactorStore } from './factor-store.js';
export { DiskFactorStore } from './disk-factor-store.js';
export type { StartMode } from './job-folder.js';
export { type StageProgress, type TrainingStore, noTrainingStore } from './training-store.js';
export { type TensorRecord } from './tensor-record.js';
export { adapterToRecord, adapterFromRecord } from './records/adapter.js';
export { stageProgressToRecord, stageProgressFromRecord } from './records/training-state.js';
export { statisticsToRecord, statisticsFromRecord } from './records/statistics.js';
export { factorsToRecord, factorsFromRecord } from './records/factors.js';
export { correctionsToRecord, correctionsFromRecord } from './records/corrections.js';
export { type StageReport, StageClock } from './stage-clock.js';
export { calibrate, emulateBlock } from './stages/emulate.js';
export { runTrainStage, type TrainStageInputs } from './stages/train.js';
export { correctedBlocks, chooseCorrection, correctBlocks } from './stages/correct.js';
export {
  runJob,
  isRefinementKept,
  refinementNotice,
  jobResultOf,
  startingAdapter,
  emulatorReport,
  type EmulatorReport,
  type JobOutcomes,
} from './run-job.js';
export { requireMemory, type JobPlan, type PlanInputs } from './plan.js';
export { divideEmulation, type ProcessMemory } from './divide-emulation.js';
export { correctionMemory } from './correction-memory.js';
export { writeOutcome } from './outcome.js';
export { tune, budgetBytesOf, planTune, type TuneReport } from './tune.js';
export { evaluateModel, type EvaluateReport } from './evaluate.js';
export { previewRows, type PreviewSummary } from './preview.js';
export { inputsHash, readInputFiles } from './inputs/input-files.js';
export { guardReads, inputMismatchIn, TensorGuard } from './inputs/tensor-guard.js';
export { findDoneJob } from './done-job.js';
