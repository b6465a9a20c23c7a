import { at } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import type { ImageReader } from '@emloc/images';
import type { ImageLimits } from '@emloc/models';

import type { ImageSet, NumberedImage } from './image-set.js';
import type { TileValues } from './tiles.js';

export interface PatchOptions {
  readonly set: ImageSet;
  readonly limits: ImageLimits;
  readonly exifOrientation: boolean;
  readonly reader: ImageReader;
  /** Images behind the one that is read which are made meanwhile. */
  readonly ahead: number;
  readonly signal?: AbortSignal;
}

/**
 * Makes tiles of images when they are asked for. Whoever asks for the tiles in their order finds
 * the next images made already.
 */
export class PatchValues implements TileValues {
  /** The images that were asked for last, and those after them. */
  readonly #made = new Map<number, Promise<Float32Array>>();

  constructor(private readonly options: PatchOptions) {}

  /** float32 (tiles · grid², 3 · patchSize²) */
  async read(tiles: readonly number[]): Promise<HostArray> {
    const parts: Uint8Array[] = [];
    for (const tile of tiles) parts.push(await this.#patches(tile));
    return { bytes: parts.length === 1 ? at(parts, 0) : Buffer.concat(parts), dtype: 'float32' };
  }

  async #patches(tile: number): Promise<Uint8Array> {
    const { set, limits } = this.options;
    const { index, first } = set.ofTile(tile);
    const patches = await this.#image(index);
    const bytes = 4 * limits.gridSize ** 2 * 3 * limits.patchSize ** 2;
    const start = (tile - first) * bytes;
    return new Uint8Array(patches.buffer, patches.byteOffset + start, bytes);
  }

  #image(index: number): Promise<Float32Array> {
    const { set, ahead } = this.options;
    const wanted = this.#make(index);
    for (let next = index + 1; next <= index + ahead && next < set.images.length; next += 1)
      void this.#make(next);
    for (const old of this.#made.keys()) {
      if (this.#made.size <= 2 * ahead + 2) break;
      if (old < index || old > index + ahead) this.#made.delete(old);
    }
    return wanted;
  }

  #make(index: number): Promise<Float32Array> {
    const known = this.#made.get(index);
    if (known) return known;
    const made = this.#read(at(this.options.set.images, index));
    // Awaited when it is asked for.
    made.catch(() => undefined);
    this.#made.set(index, made);
    return made;
  }

  #read({ image: { input, maxTiles } }: NumberedImage): Promise<Float32Array> {
    const { limits, exifOrientation, reader, signal } = this.options;
    return reader.patches(input, { ...limits, maxTiles, exifOrientation }, signal);
  }
}
