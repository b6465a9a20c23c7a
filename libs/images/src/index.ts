export { ImageError } from './errors.js';
export { measureImage } from './header.js';
export type { DecodeOptions, ImageInput, ImageSize } from './image-input.js';
export { inspectImage, type ImageFacts } from './inspect.js';
export { LocalImageReader, type ImageReader } from './image-reader.js';
export type { PatchOptions } from './patches.js';
export { resizeRgb } from './resize/resize-rgb.js';
export { ImagePool } from './thread/image-pool.js';
export { tileCount, tileGrid, type TileGrid, type Tiling } from './tiling.js';
