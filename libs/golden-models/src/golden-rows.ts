import { at, required } from '@emloc/checked';
import { openSafetensors, toFloat32 } from '@emloc/checkpoint';
import type { EncodedRow, RowImage } from '@emloc/dataset';
import type { ImageLimits, ModelLayout } from '@emloc/models';
import { ImageSet, patchRows, TextRows, type TextTables, type TileValues } from '@emloc/tasks';

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
export function goldenRows(
  rows: readonly EncodedRow[],
  tiles: GoldenTiles | null,
  tables?: TextTables,
): TextRows {
  if (!tiles) return new TextRows(rows, null, tables);
  const { images: limits, patches } = tiles;
  const size = 3 * limits.tileSize ** 2;
  const shown = rows.map((row, index) => ({ ...row, images: imagesIn(row, index, tiles) }));
  const read: TileValues['read'] = (wanted) => {
    const parts = wanted.map((tile) => patches.subarray(tile * size, (tile + 1) * size));
    const bytes = parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength));
    return Promise.resolve({ bytes: Buffer.concat(bytes), dtype: 'float32' });
  };
  return new TextRows(shown, { set: new ImageSet(shown), tiles: patchRows(limits, { read }) });
}

/**
 * Runs of image tokens as images, each another one.
 * @throws Error where they are no whole number of tiles
 */
function imagesIn(
  { ids }: EncodedRow,
  row: number,
  { images: { tokensPerTile }, imageToken }: GoldenTiles,
): RowImage[] {
  const images: RowImage[] = [];
  for (let start = ids.indexOf(imageToken); start >= 0;) {
    let end = start;
    while (ids[end] === imageToken) end += 1;
    const tiles = (end - start) / tokensPerTile;
    if (!Number.isInteger(tiles))
      throw new Error(`${tiles} tiles of ${tokensPerTile} tokens in a sequence`);
    const bytes = Uint8Array.from(Buffer.from(`${row} ${start}`));
    images.push({
      ...{ input: { kind: 'bytes', bytes, label: '' }, width: 1, height: 1 },
      ...{ tiles, maxTiles: tiles, contextStart: start, contextTokens: end - start },
    });
    start = ids.indexOf(imageToken, end);
  }
  return images;
}
