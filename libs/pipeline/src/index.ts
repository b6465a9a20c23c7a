export { PipelineError } from './errors.js';
export {
  resolveEvaluateOptions,
  resolveGenerateOptions,
  resolvePreviewOptions,
  resolveTuneOptions,
  type TuneOptions,
  defaultTuneOptions,
  defaultCheckpointSteps,
  utcDay,
} from './options/resolve.js';
export { assertRank } from './options/checks.js';
export { endsOnOriginal } from './options/levels.js';
export { assertOptionsOf, withModality } from './options/modality.js';
export { type OptionCommand, type OptionSpec } from './options/kinds.js';
export { optionsFor, optionTable, type NamedOption, type OptionsOf } from './options/table.js';
export { stageNames, type StageName, type JobEvent, type JobObserver } from './job/observer.js';
export { type Job } from './job/job.js';
export { type JobReport } from './job/report.js';
export { prepareJob } from './job/prepare-job.js';
export { type StartMode } from './disk/job-folder.js';
export { type TensorRecord } from './records/tensor-record.js';
export { adapterToRecord, adapterFromRecord } from './records/adapter.js';
export { type StageReport } from './job/stage-clock.js';
export { type TrainingCourse } from './job/training-course.js';
export { jobResultOf, type JobOutcomes } from './job/job-result.js';
export { requireMemory, type JobPlan } from './plan/plan.js';
export { type Way } from './plan/ways.js';
export { writeOutcome } from './disk/outcome.js';
export { tune, budgetBytesOf, planTune, planTuneWays, type TuneReport } from './tune.js';
export { generateText, type GenerateReport } from './generate.js';
export { evaluateModel, type EvaluateReport } from './evaluate.js';
export { modelKind } from './job/model-kind.js';
export { generatePicture, type PictureReport } from './pictures/generate-picture.js';
export { evaluatePictures, type PicturesEvaluateReport } from './pictures/evaluate-pictures.js';
export { previewPictures } from './pictures/preview-pictures.js';
export { previewRows, type PreviewSummary } from './job/preview.js';
export { findDoneJob } from './disk/done-job.js';
export { assertOutputFree } from './disk/recorded-job.js';
