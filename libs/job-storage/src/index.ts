export { type DeviceGrant } from './device-ledger.js';
export { JobStorageError } from './errors.js';
export { jobIdOf, jobNameOf, tensorKeys } from './keys.js';
export {
  bucketNames,
  openJobStorage,
  type CorrectionDone,
  type CorrectionWork,
  type JobStorage,
  type JobStorageOptions,
  type LayerReport,
  type LayerResult,
  type LayerWork,
} from './job-storage.js';
export { storedObjectMessage } from './stored-object.js';
export { type StageRecord } from './stage-records.js';
