import { ImageError } from './errors.js';
import type { ImageSize } from './image-input.js';

/** How an image becomes square tiles. */
export interface Tiling {
  /** Side of a tile in pixels. */
  readonly tileSize: number;
  readonly minTiles: number;
  /** Without the thumbnail. */
  readonly maxTiles: number;
  /** Whether the whole image follows as one more tile where there are several. */
  readonly useThumbnail: boolean;
}

export interface TileGrid {
  readonly columns: number;
  readonly rows: number;
}

/** More than documents are ever cut into. */
const mostTiles = 1024;
const largestTile = 4096;

/**
 * The grid whose ratio of sides is nearest to the image's, of all with `minTiles` to `maxTiles`
 * tiles in order of their area. A larger one replaces one that is as near only where the image has
 * more than half of its pixels.
 * @throws ImageError IMAGE_INVALID_OPTION
 */
export function tileGrid({ width, height }: ImageSize, tiling: Tiling): TileGrid {
  assertTiling(tiling);
  const ratio = width / height;
  let best: TileGrid = { columns: 1, rows: 1 };
  let least = Infinity;
  for (const grid of gridsOf(tiling)) {
    const { columns, rows } = grid;
    const distance = Math.abs(ratio - columns / rows);
    const isFilled = width * height > 0.5 * tiling.tileSize ** 2 * columns * rows;
    if (distance < least || (distance === least && isFilled)) best = grid;
    least = Math.min(least, distance);
  }
  return best;
}

/** Tiles of an image, the thumbnail included. @throws ImageError IMAGE_INVALID_OPTION */
export function tileCount(size: ImageSize, tiling: Tiling): number {
  const { columns, rows } = tileGrid(size, tiling);
  const count = columns * rows;
  return tiling.useThumbnail && count > 1 ? count + 1 : count;
}

/** By area, then by columns. */
function gridsOf({ minTiles, maxTiles }: Tiling): TileGrid[] {
  const grids: TileGrid[] = [];
  for (let area = minTiles; area <= maxTiles; area++)
    for (let columns = 1; columns <= area; columns++)
      if (area % columns === 0) grids.push({ columns, rows: area / columns });
  return grids;
}

/** @throws ImageError IMAGE_INVALID_OPTION */
export function assertTiling({ tileSize, minTiles, maxTiles }: Tiling): void {
  assertCount('tileSize', tileSize, largestTile);
  assertCount('maxTiles', maxTiles, mostTiles);
  assertCount('minTiles', minTiles, maxTiles);
}

function assertCount(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new ImageError(
      'IMAGE_INVALID_OPTION',
      `tiles: ${name} is ${value}, a whole number from 1 to ${most} is expected`,
    );
}
