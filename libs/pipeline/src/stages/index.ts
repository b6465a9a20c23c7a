export { jobNotices } from '../job/job.js';
export { type MemoryPlan, type JobEnvironment } from '../job/environment.js';
export { emulatorSource, type FactorStore } from '../job/factor-store.js';
export { DiskFactorStore } from '../disk/factor-store.js';
export { type StageProgress, type TrainingStore, noTrainingStore } from '../job/training-store.js';
export { stageProgressToRecord, stageProgressFromRecord } from '../records/training-state.js';
export { statisticsToRecord, statisticsFromRecord } from '../records/statistics.js';
export { factorsToRecord, factorsFromRecord } from '../records/factors.js';
export { correctionsToRecord, correctionsFromRecord } from '../records/corrections.js';
export { StageClock } from '../job/stage-clock.js';
export { calibrate, emulateBlock } from './emulate.js';
export { runTrainStage, type TrainStageInputs } from './train.js';
export { correctedBlocks, chooseCorrection, correctBlocks } from './correct.js';
export {
  runJob,
  isRefinementKept,
  refinementNotice,
  startingAdapter,
  emulatorReport,
  type EmulatorReport,
} from '../job/run-job.js';
export { type PlanInputs } from '../plan/plan.js';
export { divideEmulation, type ProcessMemory } from '../plan/divide-emulation.js';
export { correctionMemory } from '../plan/correction-memory.js';
export { inputsHash, readInputFiles } from '../inputs/input-files.js';
export { guardReads, inputMismatchIn, TensorGuard } from '../inputs/tensor-guard.js';
