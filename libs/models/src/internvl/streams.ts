import { at } from '@emloc/checked';

import type { BatchShape } from '../batch.js';
import type { ImageLimits } from '../image-limits.js';

/** Row layouts of the tower and the projector. Every tile is a sequence of its own. */
export const imageRows = Object.freeze({
  /** A row a patch, row-major over the tile's grid. */
  patches: 'patches',
  /** A row a tile: its class token. */
  classes: 'classes',
  /** A tile's class token and its patches. */
  tower: 'tower',
  /** The same rows as one sequence. */
  towerWhole: 'towerWhole',
  /** The patches in the order in which they become tokens. */
  shuffled: 'shuffled',
  /** A row an image token. */
  image: 'image',
});

/** Streams of a batch with images, beside those of its text. */
export const imageStreams = Object.freeze({
  /** Values (patches, 3 · patchSize²): planes red, green, blue, each row by row, normalised. */
  patches: 'patches',
  /** Values (image, hidden): what the projector makes of the tiles; batches may bring them. */
  image: 'image',
  /** Integers, of the tower: which class table's row, and where rows go. */
  classEntries: 'classEntries',
  classRows: 'classRows',
  patchRows: 'patchRows',
  positions: 'towerPositions',
  shuffledRows: 'shuffledRows',
  /** Integers, a number an image token: its row among the batch's tokens. */
  places: 'imagePlaces',
});

/** What a batch brings for a number of tiles, beside their pixels. */
export interface VisionBatch {
  readonly layouts: BatchShape['layouts'];
  readonly integers: ReadonlyMap<string, Int32Array>;
}

/** Layouts and integers of the tower and the projector; there may be no tile. */
export function visionStreams(
  images: Pick<ImageLimits, 'gridSize' | 'shuffleSize' | 'shuffleOrder' | 'tokensPerTile'>,
  tiles: number,
): VisionBatch {
  const patches = images.gridSize ** 2;
  const rows = patches + 1;
  const order = shuffledPatches(images);
  const equal = (length: number): number[] =>
    Array.from({ length: tiles + 1 }, (_, tile) => tile * length);
  const each = (length: number, of: (tile: number, row: number) => number): Int32Array =>
    Int32Array.from({ length: tiles * length }, (_, index) =>
      of(Math.floor(index / length), index % length),
    );
  return {
    layouts: new Map([
      [imageRows.patches, equal(patches)],
      [imageRows.classes, equal(1)],
      [imageRows.tower, equal(rows)],
      [imageRows.towerWhole, [0, tiles * rows]],
      [imageRows.shuffled, equal(patches)],
      [imageRows.image, equal(images.tokensPerTile)],
    ]),
    integers: new Map([
      [imageStreams.classEntries, each(1, () => 0)],
      [imageStreams.classRows, each(1, (tile) => tile * rows)],
      [imageStreams.patchRows, each(patches, (tile, patch) => tile * rows + 1 + patch)],
      [imageStreams.positions, each(rows, (_tile, row) => row)],
      [imageStreams.shuffledRows, each(patches, (tile, row) => tile * rows + 1 + at(order, row))],
    ]),
  };
}

/**
 * Patches in the order in which those of one token stand together. Tokens go row by row (pixel
 * shuffle v2) or column by column (v1), the patches within one always row by row.
 */
function shuffledPatches({
  gridSize,
  shuffleSize,
  shuffleOrder,
}: Pick<ImageLimits, 'gridSize' | 'shuffleSize' | 'shuffleOrder'>): number[] {
  const side = gridSize / shuffleSize;
  const inToken = shuffleSize ** 2;
  return Array.from({ length: gridSize ** 2 }, (_, index) => {
    const [token, within] = [Math.floor(index / inToken), index % inToken];
    const [outer, inner] = [Math.floor(token / side), token % side];
    const [i, j] = shuffleOrder === 'rows' ? [outer, inner] : [inner, outer];
    const row = i * shuffleSize + Math.floor(within / shuffleSize);
    return row * gridSize + j * shuffleSize + (within % shuffleSize);
  });
}
