export { ArchiveRefusal } from './archive/archive-names.js';
export { packFiles, type PackedFile } from './archive/pack-files.js';
export { isArchive, unpackFiles } from './archive/unpack-files.js';
export { JsonTextError, parseJsonText, type JsonLimits } from './json-text.js';
export {
  openRegularFile,
  openRegularFileSync,
  readRegularFile,
  readRegularFileSync,
} from './regular-file.js';
export { FileRefusal, notRegular } from './file-refusal.js';
