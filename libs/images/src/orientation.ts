import type { RgbImage } from './image-input.js';

/** Whether width and height change places. */
export function isTransposed(orientation: number): boolean {
  return orientation >= 5 && orientation <= 8;
}

/** Turns and mirrors pixels as EXIF's orientation says; numbers other than 2 to 8 do nothing. */
export function orient(image: RgbImage, orientation: number): RgbImage {
  if (orientation < 2 || orientation > 8) return image;
  return copyPixels(image, {
    mirrorsColumns: [2, 3, 7, 8].includes(orientation),
    mirrorsRows: [3, 4, 6, 7].includes(orientation),
    transposes: isTransposed(orientation),
  });
}

/** Which way the source's columns and rows are read, and whether they change places. */
interface Turn {
  readonly mirrorsColumns: boolean;
  readonly mirrorsRows: boolean;
  readonly transposes: boolean;
}

function copyPixels({ rgb, width, height }: RgbImage, turn: Turn): RgbImage {
  const [outWidth, outHeight] = turn.transposes ? [height, width] : [width, height];
  const out = new Uint8Array(rgb.length);
  const columnStep = turn.mirrorsColumns ? -3 : 3;
  const rowStep = 3 * (turn.mirrorsRows ? -width : width);
  const [stepX, stepY] = turn.transposes ? [rowStep, columnStep] : [columnStep, rowStep];
  const first =
    3 * ((turn.mirrorsColumns ? width - 1 : 0) + (turn.mirrorsRows ? (height - 1) * width : 0));
  let to = 0;
  for (let y = 0; y < outHeight; y++) {
    let from = first + y * stepY;
    for (let x = 0; x < outWidth; x++) {
      out[to] = rgb[from] as number;
      out[to + 1] = rgb[from + 1] as number;
      out[to + 2] = rgb[from + 2] as number;
      to += 3;
      from += stepX;
    }
  }
  return { rgb: out, width: outWidth, height: outHeight };
}
