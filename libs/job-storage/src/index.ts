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
export { TensorBusError } from './tensors/errors.js';
export { memorySource } from './tensors/memory.js';
export type { TensorSource } from './tensors/tensor.js';
export { createTensorStore, type TensorStore } from './tensors/tensor-store.js';
export { unpackDataset } from './unpack-dataset.js';
