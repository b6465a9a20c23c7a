export { CheckpointError, quoted } from './errors.js';
export { absenceOf } from './absent-modules.js';
export { sameTensor } from './compare-tensors.js';
export { assertFinite } from './finite.js';
export { openSafetensors, type SafetensorsFile } from './safetensors-file.js';
export { safetensorsBytes, type SafetensorsEntry, writeSafetensors } from './write-safetensors.js';
export { writeFileAtomic } from './atomic.js';
export type { Checkpoint } from './checkpoint.js';
export { tensorBytes } from './tensor-dtype.js';
export { openCheckpoint } from './open-checkpoint.js';
export { findVaeFile, openVae } from './flux/ae-checkpoint.js';
export {
  type DiffusionPlace,
  findDiffusionModel,
  openTransformer,
} from './flux/diffusion-place.js';
export {
  adapterScale,
  isDora,
  layerParameters,
  layerRank,
  layerScale,
  type LoraAdapter,
  type LoraLayer,
} from './lora-adapter.js';
export { areWithin } from './within.js';
export { ByteHasher } from './byte-hasher.js';
export { targetModulesOf } from './peft-config.js';
export { readAdapter } from './read-adapter.js';
export { readPeftAdapter } from './read-peft.js';
export { writeDiffusersAdapter } from './flux/write-diffusers.js';
export { currentName } from './wrapped-names.js';
export { writePeftAdapter } from './write-peft.js';
export { writeGgufAdapter } from './gguf/write-gguf-adapter.js';
export { fromFloat32, isFloat, toFloat32 } from './floats.js';
export { mergeCheckpoint } from './merge/merge.js';
export { assertMergePlace } from './merge/output-folder.js';
export { readJsonObject } from './json-file.js';
export { FileHasher, type FileRange } from './file-hasher.js';
export { readShardIndex } from './shard-index.js';
export { entriesOf, findPlace, hiddenPath, locatePlace, type OutputPlace } from './output/place.js';
export {
  cardFileName,
  logFileName,
  recordFileName,
  reportFileName,
  runFileName,
} from './output/output-files.js';
export { findOutputFile } from './output/output-file.js';
export { assertReplaceable, isFileBelow, ownedFiles } from './output/owned.js';
export { holdPlace, settleOutput, type HeldPlace } from './output/held-place.js';
export { changeFiles, writeOutput } from './output/write-output.js';
export { keepCard } from './output/keep-card.js';
export { bytesOnDisk, diskSpaceAt, storedIn } from './output/disk-space.js';
