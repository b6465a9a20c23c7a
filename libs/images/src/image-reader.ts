import { decodeImage } from './decode.js';
import type { DecodeOptions, ImageInput } from './image-input.js';
import { assertPatchOptions, patchTiles, type PatchOptions } from './patches.js';
import { assertPixelPlan, planPixels, type PixelPlan } from './pixels.js';
import { tileImage } from './tiles.js';
import { assertTiling, type Tiling } from './tiling.js';

/** Makes images into what a vision tower or a diffusion model takes. */
export interface ImageReader extends AsyncDisposable {
  /**
   * Rows of the patch embedding, (tiles · grid², 3 · patchSize²): tiles row-major, the thumbnail
   * last; patches row-major over their tile, each flattened as (channel, row, column).
   * @throws ImageError; the signal's reason
   */
  patches(input: ImageInput, options: PatchOptions, signal?: AbortSignal): Promise<Float32Array>;
  /**
   * 8-bit RGB, (tiles, tileSize, tileSize, 3).
   * @throws ImageError; the signal's reason
   */
  tiles(
    input: ImageInput,
    options: Tiling & DecodeOptions,
    signal?: AbortSignal,
  ): Promise<Uint8Array>;
  /**
   * (plan.height, plan.width, 3) in [-1, 1].
   * @throws ImageError; the signal's reason
   */
  pixels(input: ImageInput, plan: PixelPlan, signal?: AbortSignal): Promise<Float32Array>;
}

/** Reads in the calling thread, which is busy while an image is resized. */
export class LocalImageReader implements ImageReader {
  async patches(
    input: ImageInput,
    options: PatchOptions,
    signal?: Pick<AbortSignal, 'throwIfAborted'>,
  ): Promise<Float32Array> {
    assertPatchOptions(options);
    return patchTiles(await this.tiles(input, options, signal), options);
  }

  async tiles(
    input: ImageInput,
    options: Tiling & DecodeOptions,
    signal?: Pick<AbortSignal, 'throwIfAborted'>,
  ): Promise<Uint8Array> {
    const checkpoint = (): void => signal?.throwIfAborted();
    assertTiling(options);
    checkpoint();
    const image = await decodeImage(input, options);
    checkpoint();
    const tiles = tileImage(image, options, checkpoint);
    checkpoint();
    return tiles;
  }

  async pixels(
    input: ImageInput,
    plan: PixelPlan,
    signal?: Pick<AbortSignal, 'throwIfAborted'>,
  ): Promise<Float32Array> {
    const checkpoint = (): void => signal?.throwIfAborted();
    assertPixelPlan(plan);
    checkpoint();
    const image = await decodeImage(input, plan);
    checkpoint();
    return planPixels(image, plan, checkpoint);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
