export {
  openDeviceLedger,
  type DeviceGrant,
  type DeviceLedger,
  type DeviceRequest,
} from './device-ledger.js';
export { JobStorageError, type JobStorageErrorCode } from './errors.js';
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
export { openStageRecords, type StageRecord, type StageRecords } from './stage-records.js';
