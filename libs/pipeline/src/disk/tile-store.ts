import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '@emloc/checked';
import type { HostArray, HostDType } from '@emloc/device';
import type { FrontStore } from '@emloc/finetune';
import type { ImageSet, TileValues } from '@emloc/tasks';

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

  constructor(private readonly options: TileStoreOptions) {}

  /** Those of the tiles that are not there yet, in their order. */
  async missing(tiles: readonly number[]): Promise<readonly number[]> {
    await mkdir(this.options.folder, { recursive: true });
    const missing: number[] = [];
    for (const tile of tiles) if (!(await this.#isThere(tile))) missing.push(tile);
    return missing;
  }

  async put(tile: number, _stream: string, bytes: Uint8Array): Promise<void> {
    const path = await this.#path(tile);
    // Whole or not at all after a kill. Not synced: there may be tens of thousands, and what a
    // power failure cuts is of another size.
    await writeFile(`${path}.tmp`, bytes);
    await rename(`${path}.tmp`, path);
  }

  /** (tiles · tokensPerTile, width) */
  async read(tiles: readonly number[]): Promise<HostArray> {
    const parts = await Promise.all(tiles.map(async (tile) => readFile(await this.#path(tile))));
    const { dtype } = this.options;
    return { bytes: parts.length === 1 ? at(parts, 0) : Buffer.concat(parts), dtype };
  }

  async #isThere(tile: number): Promise<boolean> {
    const found = await stat(await this.#path(tile)).catch(() => null);
    return found?.size === this.options.bytesPerTile;
  }

  async #path(tile: number): Promise<string> {
    const { folder, set, exifOrientation, dtype } = this.options;
    const { index, image, first } = set.ofTile(tile);
    const content = await this.#hashOf(index);
    const key = JSON.stringify([content, image.maxTiles, tile - first, exifOrientation, dtype]);
    return join(folder, createHash('sha256').update(key).digest('hex').slice(0, 40));
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
