export { JsonTextError, parseJsonText, type JsonLimits } from './json-text.js';
export { openRegularFile, readRegularFile, readRegularFileSync } from './regular-file.js';
export { FileRefusal } from './file-refusal.js';
