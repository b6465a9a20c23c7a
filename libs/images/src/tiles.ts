import type { RgbImage } from './image-input.js';
import { resizeRgb } from './resize/resize-rgb.js';
import { tileGrid, type Tiling } from './tiling.js';

/**
 * The image resized to its grid and cut, row-major, then its thumbnail.
 * @param checkpoint called between the two resizes; may throw to end the work
 * @returns (tiles, tileSize, tileSize, 3)
 * @throws ImageError IMAGE_INVALID_OPTION
 */
export function tileImage(
  image: RgbImage,
  tiling: Tiling,
  checkpoint: () => void = () => undefined,
): Uint8Array {
  const { tileSize, useThumbnail } = tiling;
  const { columns, rows } = tileGrid(image, tiling);
  const width = columns * tileSize;
  const resized = resizeRgb(image.rgb, image, { width, height: rows * tileSize }, 'bicubic');
  if (columns * rows === 1) return resized;
  const tileBytes = tileSize * tileSize * 3;
  const out = new Uint8Array((columns * rows + (useThumbnail ? 1 : 0)) * tileBytes);
  cutTiles(resized, { columns, rows, tileSize }, out);
  checkpoint();
  if (useThumbnail) {
    const square = { width: tileSize, height: tileSize };
    out.set(resizeRgb(image.rgb, image, square, 'bicubic'), columns * rows * tileBytes);
  }
  return out;
}

interface Cut {
  readonly columns: number;
  readonly rows: number;
  readonly tileSize: number;
}

/** Line by line: a line of the image holds one line of each tile beside each other. */
function cutTiles(rgb: Uint8Array, { columns, rows, tileSize }: Cut, out: Uint8Array): void {
  const line = tileSize * 3;
  for (let y = 0; y < rows * tileSize; y++)
    for (let column = 0; column < columns; column++) {
      const from = (y * columns + column) * line;
      const tile = Math.floor(y / tileSize) * columns + column;
      out.set(rgb.subarray(from, from + line), (tile * tileSize + (y % tileSize)) * line);
    }
}
