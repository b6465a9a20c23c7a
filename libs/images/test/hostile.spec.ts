import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

import { measureImage } from '../src/header.js';
import { LocalImageReader } from '../src/image-reader.js';
import { fixture, smallTiles as options } from './fixtures.js';

const reader = new LocalImageReader();

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'emloc-images-'))));
afterAll(() => rm(folder, { recursive: true }));

/** A PNG of one grey bit a pixel, as large as its header says or with other lines. */
function png(width: number, height: number, lines = height): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const pixels = deflateSync(Buffer.alloc(lines * (1 + Math.ceil(width / 8))));
  const parts = [chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

function chunk(type: string, data: Buffer): Buffer {
  const [length, body, check] = [
    Buffer.alloc(4),
    Buffer.concat([Buffer.from(type), data]),
    Buffer.alloc(4),
  ];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** What becomes of it: its tiles, or the error's code and message. */
async function outcome(bytes: Uint8Array): Promise<string> {
  return reader
    .tiles({ kind: 'bytes', bytes, label: 'row 7: a.png' }, options)
    .then((tiles) => `${tiles.length / 28 ** 2 / 3} tiles`)
    .catch(({ code, message }: { code: string; message: string }) => `${code}: ${message}`);
}

describe('an image that is cut short', () => {
  it.each([
    'rgb.png',
    'baseline-420.jpg',
    'progressive.jpg',
    'lossless.webp',
    'frames.gif',
    'lzw.tif',
    'palette.png',
  ])('is refused: %s', async (name) => {
    const bytes = await readFile(fixture(name));
    const whole = name === 'frames.gif' ? bytes.length / 4 : bytes.length;
    for (const part of [0.1, 0.5, 0.9])
      expect(await outcome(bytes.subarray(0, whole * part))).toMatch(
        /^IMAGE_DAMAGED: row 7: a\.png: is damaged or cut short: \S/,
      );
  });
});

describe('an image that is too large', () => {
  it.each([
    [60_000, 60_000, 'row 7: a.png: 60000 x 60000 pixels are 3600000000, at most 178956970'],
    [1, 65_536, 'row 7: a.png: 1 x 65536 pixels, at most 65535 on a side'],
  ])('is refused by its header: %d x %d', async (width, height, message) => {
    expect(await outcome(png(width, height, 1))).toContain(`IMAGE_TOO_LARGE: ${message}`);
  });

  it('is refused when it could be decoded: 20,000 x 20,000 in some kilobytes', async () => {
    const bytes = png(20_000, 20_000);

    expect(bytes.length).toBeLessThan(100_000);
    expect(await outcome(bytes)).toMatch(/^IMAGE_TOO_LARGE/);
  });
});

it.each([
  [1, 20_000],
  [20_000, 1],
])('reads an image of %d x %d', async (width, height) => {
  expect(await outcome(png(width, height))).toBe('7 tiles');
});

it('refuses an image without pixels', async () => {
  expect(await outcome(png(0, 5))).toMatch(/^IMAGE_DAMAGED: row 7: a\.png: /);
  expect(await outcome(new Uint8Array())).toBe('IMAGE_DAMAGED: row 7: a.png: 0 bytes, no image');
});

it.each([
  ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'],
  ['SVG', '<?xml version="1.0"?><svg width="9" height="9"/>'],
  ['PDF', '%PDF-1.4\n'],
  ['BMP', 'BM\x46\0\0\0'],
  ['HEIC', '\0\0\0\x18ftypheic\0\0\0\0mif1heic'],
  ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n'],
])('refuses %s by its content', async (name, text) => {
  expect(await outcome(Buffer.from(text, 'latin1'))).toContain(
    `IMAGE_UNSUPPORTED_FORMAT: row 7: a.png: is ${name}, which is not read; PNG, JPEG,`,
  );
});

it('refuses what is no image', async () => {
  expect(await outcome(Buffer.from('hello'))).toContain('row 7: a.png: is no image; PNG');
});

describe('a file', () => {
  const measured = (path: string): Promise<unknown> =>
    measureImage({ kind: 'file', path }, options);

  it('is what its content says, and may be a link', async () => {
    const path = join(folder, 'photo.gif');
    await writeFile(path, await readFile(fixture('baseline-420.jpg')));
    await symlink(path, join(folder, 'link.svg'));

    expect(await measured(path)).toEqual({ width: 211, height: 133 });
    expect(await measured(join(folder, 'link.svg'))).toEqual({ width: 211, height: 133 });
  });

  it('that is none is refused at once, and named', async () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);

    for (const path of [folder, fifo, '/dev/zero'])
      await expect(measured(path)).rejects.toThrow(`${path}: is no regular file`);
    await expect(measured(join(folder, 'none.png'))).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: `${join(folder, 'none.png')}: cannot be read: ENOENT`,
    });
  });

  it('is measured where its header is longer than what is read first', async () => {
    const jpeg = await readFile(fixture('baseline-444.jpg'));
    const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0xff, 0xff]), Buffer.alloc(0xfffd)]);
    const path = join(folder, 'long.jpg');
    await writeFile(path, Buffer.concat([jpeg.subarray(0, 2), comment, comment, jpeg.subarray(2)]));

    expect(await measured(path)).toEqual({ width: 133, height: 211 });
  });
});
