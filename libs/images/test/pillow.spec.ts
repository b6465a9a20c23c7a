import { readFileSync } from 'node:fs';

import { decodeImage } from '../src/decode.js';
import { measureImage } from '../src/header.js';
import { LocalImageReader } from '../src/image-reader.js';
import { resizeRgb } from '../src/resize/resize-rgb.js';
import { tileCount } from '../src/tiling.js';
import { expected, fixture, sha256 } from './fixtures.js';

const plain = { exifOrientation: false };

describe('images beside Pillow', () => {
  const names = Object.keys(expected.images);

  it('are of every kind', () => {
    expect(names.length).toBeGreaterThanOrEqual(18);
    expect(expected.resizes.length).toBeGreaterThanOrEqual(20);
    expect(Object.keys(expected.orientations)).toHaveLength(8);
  });

  it.each(names)('%s has the same pixels and size', async (name) => {
    const input = { kind: 'file', path: fixture(name) } as const;
    const { width, height, sha256: hash } = expected.images[name] ?? fail(name);
    const image = await decodeImage(input, plain);

    expect([image.width, image.height, sha256(image.rgb)]).toEqual([width, height, hash]);
    expect(await measureImage(input, plain)).toEqual({ width, height });
  });

  it.each(names)('%s has the same tiles', async (name) => {
    const { width, height, tilings } = expected.images[name] ?? fail(name);
    for (const { maxTiles, tileSize, tiles, sha256: hash } of tilings) {
      const tiling = { tileSize, minTiles: 1, maxTiles, useThumbnail: true };
      const input = { kind: 'bytes', bytes: readFileSync(fixture(name)) } as const;
      const made = await new LocalImageReader().tiles(input, { ...tiling, ...plain });

      expect(made.length).toBe(tiles * tileSize ** 2 * 3);
      expect(sha256(made)).toBe(hash);
      expect(tileCount({ width, height }, tiling)).toBe(tiles);
    }
  });

  it.each(Object.entries(expected.orientations))('%s is turned on demand', async (name, right) => {
    const input = { kind: 'file', path: fixture(name) } as const;
    const { width, height, sha256: hash } = right;
    const image = await decodeImage(input, { exifOrientation: true });

    expect([image.width, image.height, sha256(image.rgb)]).toEqual([width, height, hash]);
    expect(await measureImage(input, { exifOrientation: true })).toEqual({ width, height });
    expect(await measureImage(input, plain)).toEqual({ width: 24, height: 16 });
  });

  it('are resized to the same bytes', async () => {
    const image = await decodeImage({ kind: 'file', path: fixture('rgb.png') }, plain);
    for (const { width, height, filter, sha256: hash } of expected.resizes)
      expect([
        width,
        height,
        filter,
        sha256(resizeRgb(image.rgb, image, { width, height }, filter)),
      ]).toEqual([width, height, filter, hash]);
    const small = resizeRgb(image.rgb, image, { width: 37, height: 41 }, 'bicubic');
    expect(Buffer.from(small).equals(readFileSync(fixture('resized-37x41.rgb')))).toBe(true);
  });
});

function fail(name: string): never {
  throw new Error(`nothing is expected of ${name}`);
}
