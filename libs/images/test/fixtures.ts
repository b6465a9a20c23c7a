import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { PixelPlan } from '../src/pixels.js';

/** What Pillow makes of a file, by fixtures/make-fixtures.py. */
interface ExpectedImage {
  readonly width: number;
  readonly height: number;
  readonly sha256: string;
  readonly tilings: readonly {
    readonly maxTiles: number;
    readonly tileSize: number;
    readonly tiles: number;
    readonly sha256: string;
  }[];
}

interface Expected {
  readonly images: Readonly<Record<string, ExpectedImage>>;
  readonly orientations: Readonly<Record<string, Omit<ExpectedImage, 'tilings'>>>;
  readonly resizes: readonly {
    readonly width: number;
    readonly height: number;
    readonly filter: 'bicubic' | 'bilinear';
    readonly sha256: string;
  }[];
  /** Of a file, turned by its EXIF orientation. */
  readonly pixels: readonly (Omit<PixelPlan, 'exifOrientation'> & {
    readonly name: string;
    readonly sha256: string;
  })[];
}

export const smallTiles = Object.freeze({
  tileSize: 28,
  minTiles: 1,
  maxTiles: 6,
  useThumbnail: true,
  exifOrientation: false,
});

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

export const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Expected;

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
