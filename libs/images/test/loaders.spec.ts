import { readFileSync } from 'node:fs';
import process from 'node:process';
import sharp from 'sharp';

import { blockedLoaders, readMetadata } from '../src/decoder.js';
import { fixture } from './fixtures.js';

const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
const read = /^VipsForeignLoad(Png|Jpeg|Webp|Nsgif|Tiff|Heif)(Buffer)?$/;

/** Names of all loaders that stand in the libvips which is loaded. */
function loadersOfLibrary(): string[] {
  const { sharedObjects } = process.report.getReport() as { sharedObjects: readonly string[] };
  const files = sharedObjects.filter((file) => /libvips/.test(file));
  const names = files.flatMap((file) =>
    [...readFileSync(file, 'latin1').matchAll(/VipsForeignLoad[A-Z]\w+/g)].map(([name]) => name),
  );
  return [...new Set(names)];
}

it('never blocks what other threads read with, not even until it is unblocked', async () => {
  const png = readFileSync(fixture('rgb.png'));
  const { unblock } = sharp;
  sharp.unblock = () => undefined;
  try {
    expect(await readMetadata(png, 'a')).toMatchObject({ format: 'png' });
  } finally {
    sharp.unblock = unblock;
  }
  await expect(sharp(svg).metadata()).rejects.toThrow('unsupported image format');
  await expect(sharp(fixture('rgb.png')).metadata()).rejects.toThrow('unsupported image format');
});

it('blocks every loader of libvips but those that read the formats here, from memory', () => {
  const names = loadersOfLibrary();
  const isBlocked = (name: string): boolean =>
    blockedLoaders.some((blocked) => name === blocked || isVariant(name, blocked));

  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => isBlocked(name) === read.test(name))).toEqual([]);
});

/** Classes are blocked with those that are derived from them. */
function isVariant(name: string, blocked: string): boolean {
  return ['Buffer', 'File', 'Source'].some((ending) => name === `${blocked}${ending}`);
}
