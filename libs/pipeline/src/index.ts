export { PipelineError } from './errors.js';
export {
  resolveChatOptions,
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
export { weightsOf } from './options/data-weights.js';
export { mostFurtherFiles } from './options/limits.js';
export { endsOnOriginal, parseLevels, type Level } from './options/levels.js';
export { assertOptionsOf, withModality } from './options/modality.js';
export { type OptionCommand, type OptionSpec } from './options/kinds.js';
export { optionsFor, optionTable, type NamedOption, type OptionsOf } from './options/table.js';
export { stageNames, type StageName, type JobEvent, type JobObserver } from './job/observer.js';
export { type Job } from './job/job.js';
export { type JobReport } from './job/report.js';
export { emulatedLinears } from './job/emulated-linear.js';
export { prepareJob } from './job/prepare-job.js';
export { readGivenStart } from './job/given-start.js';
export { type StartMode } from './disk/job-folder.js';
export { type TensorRecord } from './records/tensor-record.js';
export { adapterToRecord, adapterFromRecord } from './records/adapter.js';
export { type StageReport } from './job/stage-clock.js';
export { isRefinementKept } from './job/refinement.js';
export { type TrainingCourse } from './job/training-course.js';
export { jobResultOf, type JobOutcomes } from './job/job-result.js';
export { requireMemory } from './plan/fit-memory.js';
export { type JobPlan } from './plan/plan.js';
export {
  choiceNotice,
  isMethodChoice,
  type MethodChoice,
  withChoice,
} from './plan/method-choice.js';
export { isUndecided } from './options/method.js';
export { logEntryOf, lineOf, logEntriesIn, outlives, type LogEntry } from './job/log-entry.js';
export { writeOutcome } from './disk/outcome.js';
export type { TuneReport } from './job/tune-report.js';
export { budgetBytesOf } from './plan/budget.js';
export { planTune, planTuneWays } from './plan/plan-tune.js';
export { equalLevels } from './plan/equal-quality.js';
export { tune } from './tune.js';
export { generateText, type GenerateReport } from './generate.js';
export {
  withTextGenerator,
  type GeneratedText,
  type TextGenerator,
} from './answers/text-generator.js';
export { evaluateModel, type EvaluateReport } from './evaluate.js';
export { modelKind } from './job/model-kind.js';
export { generatePicture, type PictureReport } from './pictures/generate-picture.js';
export { evaluatePictures, type PicturesEvaluateReport } from './pictures/evaluate-pictures.js';
export { previewPictures } from './pictures/preview-pictures.js';
export {
  previewRows,
  type PreviewedFile,
  type PreviewedRow,
  type PreviewSummary,
} from './job/preview.js';
export { findDoneJob } from './disk/done-job.js';
export { assertOutputFree } from './disk/recorded-job.js';
