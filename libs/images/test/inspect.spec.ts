import { readFile } from 'node:fs/promises';

import { inspectImage } from '../src/inspect.js';
import { fixture } from './fixtures.js';

const options = { exifOrientation: false };
const inspect = (bytes: Uint8Array): Promise<unknown> =>
  inspectImage({ kind: 'bytes', bytes, label: 'a' }, options);

test('an image in a file is as long as its file', async () => {
  const path = fixture('baseline-420.jpg');
  const { length } = await readFile(path);

  expect(await inspectImage({ kind: 'file', path }, options)).toEqual({
    width: 211,
    height: 133,
    byteLength: length,
  });
});

describe.each([
  'rgb.png',
  'palette.png',
  'baseline-420.jpg',
  'progressive.jpg',
  'orientation-6.jpg',
  'lossless.webp',
])('%s', (name) => {
  it('is refused where its end is missing', async () => {
    const bytes = await readFile(fixture(name));
    for (const left of [bytes.length - 3, Math.floor(bytes.length * 0.9)])
      await expect(inspect(bytes.subarray(0, left))).rejects.toMatchObject({
        code: 'IMAGE_DAMAGED',
        message: expect.stringMatching(/^a: is (cut short: its \d+ bytes|damaged)/) as string,
      });
  });

  it('may have something behind its end', async () => {
    const bytes = await readFile(fixture(name));
    const padded = Buffer.concat([bytes, Buffer.alloc(2 ** 17)]);

    await expect(inspect(padded)).resolves.toMatchObject({ byteLength: padded.length });
  });
});

test('a picture in the header of a JPEG does not stand for its end', async () => {
  const jpeg = await readFile(fixture('baseline-420.jpg'));
  const inner = Buffer.concat([Buffer.from([0xff, 0xe1, 0, 6]), Buffer.from([0xff, 0xd9, 0, 0])]);
  const whole = Buffer.concat([jpeg.subarray(0, 2), inner, jpeg.subarray(2)]);

  await expect(inspect(whole)).resolves.toMatchObject({ width: 211 });
  await expect(inspect(whole.subarray(0, whole.length - 2))).rejects.toThrow('cut short');
});
