import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { at } from '@emloc/checked';
import type { HostArray, HostDType } from '@emloc/device';
import type { FrontStore } from '@emloc/finetune';
import { imageStreams } from '@emloc/models';
import { readStreams, type ImageSet, type TileValues } from '@emloc/tasks';

import { StreamStore } from './stream-store.js';

export interface TileStoreOptions {
  /** May have tiles of an earlier run of the same job. */
  readonly folder: string;
  readonly set: ImageSet;
  readonly exifOrientation: boolean;
  readonly dtype: HostDType;
  readonly bytesPerTile: number;
  /** Hears what an image's contents are before anything that is made of it is used. */
  readonly onImage?: (image: number, sha256: string) => Promise<void>;
}

/**
 * What a model's front made of tiles, a file a tile. Files are named by the contents of the image:
 * another image under the same name is another tile.
 */
export class TileStore implements FrontStore, TileValues {
  readonly #hashes = new Map<number, Promise<string>>();
  readonly #store: StreamStore;

  constructor(private readonly options: TileStoreOptions) {
    const { folder, dtype, bytesPerTile } = options;
    const streams = new Map([[imageStreams.image, bytesPerTile]]);
    this.#store = new StreamStore({
      ...{ folder, dtype, bytesOf: () => streams },
      keyOf: (tile) => this.#keyOf(tile),
    });
  }

  /** Those of the tiles that are not there yet, in their order. */
  missing(tiles: readonly number[]): Promise<readonly number[]> {
    return this.#store.missing(tiles);
  }

  put(tile: number, stream: string, bytes: Uint8Array): Promise<void> {
    return this.#store.put(tile, stream, bytes);
  }

  /** (tiles · tokensPerTile, width) */
  read(tiles: readonly number[]): Promise<HostArray> {
    return readStreams(this.#store, imageStreams.image, tiles);
  }

  async #keyOf(tile: number): Promise<string> {
    const { set, exifOrientation } = this.options;
    const { index, image, first } = set.ofTile(tile);
    const content = await this.#hashOf(index);
    return JSON.stringify([content, image.maxTiles, tile - first, exifOrientation]);
  }

  #hashOf(index: number): Promise<string> {
    const known = this.#hashes.get(index);
    if (known) return known;
    const hashing = this.#hash(index);
    this.#hashes.set(index, hashing);
    return hashing;
  }

  async #hash(index: number): Promise<string> {
    const { input } = at(this.options.set.images, index).image;
    const hash = createHash('sha256');
    if (input.kind === 'bytes') hash.update(input.bytes);
    else for await (const chunk of createReadStream(input.path)) hash.update(chunk as Uint8Array);
    const sha256 = hash.digest('hex');
    await this.options.onImage?.(index, sha256);
    return sha256;
  }
}
