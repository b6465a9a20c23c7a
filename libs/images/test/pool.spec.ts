import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { LocalImageReader, type ImageReader } from '../src/image-reader.js';
import type { ImagePool as Pool } from '../src/thread/image-pool.js';
import { fixture, sha256, smallTiles } from './fixtures.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const input = { kind: 'file', path: fixture('baseline-420.jpg') } as const;
const missing = { kind: 'file', path: join(root, 'none.png'), label: 'row 3: none.png' } as const;
const options = {
  ...smallTiles,
  patchSize: 14,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

let folder = '';
let ImagePool: typeof Pool;

/** Threads are started from a bundle, as in every program. */
beforeAll(async () => {
  await mkdir(join(root, 'dist'), { recursive: true });
  folder = await mkdtemp(join(root, 'dist', 'images-'));
  const { bundle } = (await import(pathToFileURL(join(root, 'tools/setup/bundle.mjs')).href)) as {
    bundle: (program: object, root: string) => Promise<unknown>;
  };
  const outFile = join(folder, 'images.mjs');
  const entry = join(root, 'libs/images/src/thread/image-pool.ts');
  await bundle({ name: 'images', entry, folder, outFile }, root);
  ({ ImagePool } = (await import(pathToFileURL(outFile).href)) as { ImagePool: typeof Pool });
});
afterAll(() => rm(folder, { recursive: true }));

describe('ImagePool', () => {
  it('gives what is read in the calling thread, more images than threads', async () => {
    await using pool = new ImagePool(2);
    const local = new LocalImageReader();
    const [patches, tiles] = await Promise.all([
      local.patches(input, options),
      local.tiles(input, options),
    ]);
    const all = await Promise.all(Array.from({ length: 7 }, () => pool.patches(input, options)));

    expect(all).toHaveLength(7);
    for (const one of all) expect(Buffer.from(one.buffer)).toEqual(Buffer.from(patches.buffer));
    expect(Buffer.from(await pool.tiles(input, options))).toEqual(Buffer.from(tiles));
  });

  it('gives the pixels that are made in the calling thread', async () => {
    await using pool = new ImagePool(1);
    const plan = {
      ...{ resize: { width: 40, height: 30 }, crop: { left: 3, top: 0 }, width: 32, height: 16 },
      ...{ flip: true, exifOrientation: true },
    };
    const pixels = await pool.pixels(input, plan);

    expect(pixels).toHaveLength(32 * 16 * 3);
    expect(pixels).toEqual(await new LocalImageReader().pixels(input, plan));
    await expect(pool.pixels(input, { ...plan, width: 38 })).rejects.toMatchObject({
      code: 'IMAGE_INVALID_OPTION',
      message: 'pixels: crop.left is 3, a whole number from 0 to 2 is expected',
    });
  });

  it('names the image that fails, and goes on with the next', async () => {
    await using pool = new ImagePool(1);

    await expect(pool.tiles(missing, options)).rejects.toMatchObject({
      name: 'ImageError',
      code: 'IMAGE_UNREADABLE',
      message: 'row 3: none.png: cannot be read: ENOENT',
    });
    await expect(pool.patches(input, { ...options, patchSize: 9 })).rejects.toMatchObject({
      code: 'IMAGE_INVALID_OPTION',
    });
    expect(await pool.tiles(input, options)).not.toHaveLength(0);
  });

  it('drops what is not wanted any more, waiting or being read', async () => {
    await using pool = new ImagePool(1);
    const controller = new AbortController();
    const reason = new Error('enough');
    const dropped = [1, 2, 3].map(() => pool.tiles(input, options, controller.signal));
    const kept = pool.tiles(input, options);
    const settled = Promise.allSettled(dropped);
    controller.abort(reason);

    for (const one of await settled) expect(one).toEqual({ status: 'rejected', reason });
    expect(await kept).not.toHaveLength(0);
    await expect(pool.tiles(input, options, controller.signal)).rejects.toBe(reason);
  });

  it('refuses what is waiting when it is closed, and what comes after', async () => {
    const pool = new ImagePool(1);
    const waiting = Promise.allSettled([pool.tiles(input, options), pool.tiles(input, options)]);
    await pool[Symbol.asyncDispose]();

    const closed = expect.objectContaining({ code: 'IMAGE_POOL_CLOSED' }) as Error;
    expect(await waiting).toEqual(Array(2).fill({ status: 'rejected', reason: closed }));
    await expect(pool.tiles(input, options)).rejects.toEqual(closed);
  });

  it('reads in many pools that start at the same time', async () => {
    const names = ['rgb.png', 'progressive.jpg', 'lossless.webp', 'frames.gif', 'lzw.tif'];
    const expected = await Promise.all(names.map((name) => digest(new LocalImageReader(), name)));
    for (let round = 0; round < 2; round++) {
      const pools = Array.from({ length: 6 }, () => new ImagePool(4));
      const read = pools.map((pool) => Promise.all(names.map((name) => digest(pool, name))));
      expect(await Promise.all(read)).toEqual(Array(6).fill(expected));
      await Promise.all(pools.map((pool) => pool[Symbol.asyncDispose]()));
    }
  });
});

async function digest(reader: ImageReader, name: string): Promise<string> {
  return sha256(await reader.tiles({ kind: 'file', path: fixture(name) }, smallTiles));
}
