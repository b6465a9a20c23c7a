export { CheckpointError, type CheckpointErrorCode } from './errors.js';
export type { TensorDType } from './tensor-dtype.js';
export type { SafetensorsTensor } from './safetensors-header.js';
export { openSafetensors, type SafetensorsFile } from './safetensors-file.js';
export {
  type SafetensorsEntry,
  type TensorData,
  writeSafetensors,
  type WriteSafetensorsOptions,
} from './write-safetensors.js';
export { type AtomicOptions, type FileContent, writeFileAtomic } from './atomic.js';
export { FileHasher, type FileRange } from './file-hasher.js';
export { readShardIndex } from './shard-index.js';
export { type Checkpoint, type CheckpointTensor, openCheckpoint } from './checkpoint.js';
export {
  adapterScale,
  type LinearModules,
  type LoraAdapter,
  type LoraLayer,
} from './lora-adapter.js';
export { readPeftAdapter, type ReadPeftOptions } from './read-peft.js';
export { writePeftAdapter, type WritePeftOptions } from './write-peft.js';
export { type FloatDType, fromFloat32, toFloat32 } from './floats.js';
export {
  mergeCheckpoint,
  type MergeOptions,
  type MergeProgress,
  type MergeReport,
} from './merge/merge.js';
export { findPlace, hiddenPath, type OutputPlace } from './output/place.js';
export { assertReplaceable, recordFileName } from './output/owned.js';
export { holdPlace, settleOutput, type HeldPlace } from './output/held-place.js';
export { writeOutput } from './output/write-output.js';
