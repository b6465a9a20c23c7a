export type { PlainTuneOptions, UploadedDataset } from '@emloc/contracts';
export type {
  CallOptions,
  CreateJobOptions,
  DeleteJobOptions,
  DownloadJobOptions,
  DownloadOptions,
  ListJobsOptions,
  StreamOptions,
  UploadOptions,
  WaitOptions,
  WatchOptions,
} from './call-options.js';
export { connect, EmlocClient } from './client.js';
export type { OnTransfer } from './download.js';
export {
  describeFailure,
  EmlocError,
  type Failure,
  isEmlocError,
  jobFailed,
  type SdkErrorCode,
} from './errors.js';
export { type ClientTls, type ConnectOptions, defaultLimits } from './options.js';
export { type StageName, stageNames } from './stages.js';
export {
  isFinalState,
  type JobState,
  type MergeDtype,
  type ModelKind,
  type Job,
  type StageReport,
  type TrainingCourse,
  type TuneReport,
  type JobPlan,
  type JobEvent,
  type ArtifactKind,
  type Artifact,
  type Dataset,
  type JobsPage,
} from './values.js';
