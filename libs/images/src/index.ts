export { encodePng } from './decoder.js';
export { ImageError } from './errors.js';
export type { DecodeOptions, ImageInput, ImageSize, RgbImage } from './image-input.js';
export { inspectImage, type ImageFacts } from './inspect.js';
export { LocalImageReader, type ImageReader } from './image-reader.js';
export type { PixelPlan } from './pixels.js';
export { ImagePool } from './thread/image-pool.js';
export { tileCount, type Tiling } from './tiling.js';
