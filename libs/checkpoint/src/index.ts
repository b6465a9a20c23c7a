export { CheckpointError, type CheckpointErrorCode, quoted } from './errors.js';
export { sameTensor } from './compare-tensors.js';
export { assertFinite, type TensorPlace } from './finite.js';
export { isLfsPointer } from './lfs-pointer.js';
export type { TensorDType } from './tensor-dtype.js';
export type { SafetensorsTensor } from './safetensors-header.js';
export { openSafetensors, type SafetensorsFile } from './safetensors-file.js';
export {
  type SafetensorsEntry,
  type TensorData,
  writeSafetensors,
  type WriteSafetensorsOptions,
} from './write-safetensors.js';
export {
  type AtomicOptions,
  createFolderAtomic,
  type FileContent,
  writeFileAtomic,
} from './atomic.js';
export { type Checkpoint, type CheckpointTensor, openCheckpoint } from './checkpoint.js';
export {
  adapterScale,
  layerRank,
  layerScale,
  type LinearModules,
  type LoraAdapter,
  type LoraLayer,
} from './lora-adapter.js';
export { readPeftAdapter, type ReadPeftOptions } from './read-peft.js';
export { writePeftAdapter, type WritePeftOptions } from './write-peft.js';
export { type FloatDType, fromFloat32, isFloat, toFloat32 } from './floats.js';
export {
  mergeCheckpoint,
  type MergeOptions,
  type MergeProgress,
  type MergeReport,
} from './merge/merge.js';
