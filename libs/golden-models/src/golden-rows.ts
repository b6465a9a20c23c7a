import { at, required } from '@emloc/checked';
import { openSafetensors, toFloat32 } from '@emloc/checkpoint';
import type { EncodedRow } from '@emloc/dataset';
import {
  imageRows,
  imageStreams,
  placement,
  visionStreams,
  type Batch,
  type BatchShape,
  type ImageLimits,
  type ModelLayout,
} from '@emloc/models';
import { TextRows } from '@emloc/tasks';

import type { Golden, GoldenSequence } from './golden.js';

/** What a golden's model needs of its tiles. */
export interface GoldenTiles {
  readonly images: ImageLimits;
  readonly imageToken: number;
  /** (tiles · patches, 3 · patchSize²) */
  readonly patches: Float32Array;
}

/**
 * The tiles of a golden, as patches; null for models of text alone.
 * @throws Error where the file does not fit the model
 */
export async function readTiles(
  { images: limits }: ModelLayout,
  golden: Golden,
): Promise<GoldenTiles | null> {
  if (!limits) return null;
  if (!golden.images)
    return { images: limits, imageToken: limits.imageToken ?? -1, patches: new Float32Array() };
  const { file, token } = golden.images;
  const pixels = await readPixels(file);
  const patches = patchesOf(pixels, limits);
  return {
    images: limits,
    patches,
    imageToken: required(limits.imageToken ?? token, 'image token'),
  };
}

async function readPixels(file: string): Promise<Float32Array> {
  await using opened = await openSafetensors(file);
  const [name, { shape, dtype }] = at([...opened.tensors], 0);
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (dtype !== 'float32' && dtype !== 'bfloat16')
    throw new Error(`${file}: ${name} is ${dtype}, float32 or bfloat16 expected`);
  const bytes = new Uint8Array(size * (dtype === 'float32' ? 4 : 2));
  await opened.read(name, bytes);
  return toFloat32(bytes, dtype);
}

/** (tiles, 3, side, side) as (tiles · patches, 3 · patchSize²), row-major over each tile's grid. */
function patchesOf(
  pixels: Float32Array,
  { tileSize: side, patchSize, gridSize }: ImageLimits,
): Float32Array {
  const patches = new Float32Array(pixels.length);
  let next = 0;
  for (let tile = 0; tile < pixels.length / (3 * side * side); tile += 1)
    for (let patch = 0; patch < gridSize ** 2; patch += 1)
      for (let channel = 0; channel < 3; channel += 1)
        for (let row = 0; row < patchSize; row += 1) {
          const y = Math.floor(patch / gridSize) * patchSize + row;
          const x = (patch % gridSize) * patchSize;
          const start = ((tile * 3 + channel) * side + y) * side + x;
          patches.set(pixels.subarray(start, start + patchSize), next);
          next += patchSize;
        }
  return patches;
}

/** A row whose targets are those of a sequence, else every token but the first. */
export function rowOf({ ids, labels }: Pick<GoldenSequence, 'ids' | 'labels'>): EncodedRow {
  const trained = Uint8Array.from(ids, (_, index) =>
    index > 0 && (!labels || at(labels, index) >= 0) ? 1 : 0,
  );
  return { ids: Int32Array.from(ids), trained, line: 1 };
}

/** Rows of a golden: texts whose image tokens take its tiles, one after another over all rows. */
export class GoldenRows extends TextRows {
  readonly #firstTiles: readonly number[];

  constructor(
    rows: readonly EncodedRow[],
    private readonly tiles: GoldenTiles | null,
  ) {
    super(rows);
    const counts = rows.map(({ ids }) => (tiles ? tilesIn(ids, tiles) : 0));
    this.#firstTiles = [0, ...counts].map((_, index) =>
      counts.slice(0, index).reduce((sum, count) => sum + count, 0),
    );
  }

  override shape(rows: readonly number[]): BatchShape {
    const shape = super.shape(rows);
    if (!this.tiles) return shape;
    const { images } = this.tiles;
    const { layouts, integers } = visionStreams(images, this.#count(rows));
    const places = this.#count(rows) * images.tokensPerTile;
    return {
      ...shape,
      layouts: new Map([...shape.layouts, ...layouts]),
      integers: new Map([
        ...shape.integers,
        ...[...integers].map(([name, { length }]) => [name, length] as const),
        [imageStreams.places, places],
      ]),
      values: new Map([
        [imageStreams.patches, { rows: imageRows.patches, width: 3 * images.patchSize ** 2 }],
      ]),
    };
  }

  override async load(rows: readonly number[]): Promise<Batch> {
    const batch = await super.load(rows);
    if (!this.tiles) return batch;
    const { images, imageToken } = this.tiles;
    const places = placement(this.packed(rows).ids, imageToken);
    const { integers } = visionStreams(images, this.#count(rows));
    const patches = Buffer.concat(rows.map((row) => this.#patches(row)));
    return {
      shape: this.shape(rows),
      integers: new Map([...batch.integers, ...integers, [imageStreams.places, places]]),
      values: new Map([[imageStreams.patches, { bytes: patches, dtype: 'float32' }]]),
    };
  }

  #count(rows: readonly number[]): number {
    return rows.reduce(
      (sum, row) => sum + at(this.#firstTiles, row + 1) - at(this.#firstTiles, row),
      0,
    );
  }

  #patches(row: number): Uint8Array {
    const { images, patches } = required(this.tiles, 'tiles');
    const size = 3 * images.tileSize ** 2;
    const part = patches.subarray(
      at(this.#firstTiles, row) * size,
      at(this.#firstTiles, row + 1) * size,
    );
    return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  }
}

/** @throws Error where the image tokens are no whole number of tiles */
function tilesIn(ids: Int32Array, { images, imageToken }: GoldenTiles): number {
  const count = placement(ids, imageToken).length / images.tokensPerTile;
  if (Number.isInteger(count)) return count;
  throw new Error(`${count} tiles of ${images.tokensPerTile} tokens in a sequence`);
}
