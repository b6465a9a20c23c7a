import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder, randomValues, seeded } from '../test/fixtures.js';
import { assertFinite, FiniteScanner } from './finite.js';
import { fromFloat32, toFloat32, type FloatDType } from './floats.js';

const place = { name: 'w', file: 'folder/model.safetensors' };
const isAccepted = (bytes: Uint8Array, dtype: FloatDType): boolean => {
  try {
    assertFinite(bytes, dtype, place);
    return true;
  } catch (error) {
    expect(error).toMatchObject({
      code: 'CHECKPOINT_NOT_FINITE',
      message: expect.stringMatching(/^w in folder\/model\.safetensors holds (NaN|-?Infinity)/),
    });
    return false;
  }
};

describe.each(['float32', 'bfloat16', 'float16'] as const)('%s weights', (dtype) => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'are refused with one %d, wherever it stands',
    (bad) => {
      for (let length = 1; length <= 11; length += 1) {
        for (let at = 0; at < length; at += 1) {
          const values = randomValues(length, length);
          expect(isAccepted(fromFloat32(values, dtype), dtype)).toBe(true);
          expect(isAccepted(fromFloat32(values.with(at, bad), dtype), dtype)).toBe(false);
        }
      }
      const long = randomValues(100_003, 5);
      for (const at of [0, 16_383, 32_768, 65_537, 100_001, 100_002])
        expect(isAccepted(fromFloat32(long.with(at, bad), dtype), dtype)).toBe(false);
    },
  );

  it('are accepted and refused as their values say, for any bits, at any alignment', () => {
    const random = seeded(9);
    const size = dtype === 'float32' ? 4 : 2;
    for (let round = 0; round < 3000; round += 1) {
      const bytes = Uint8Array.from({ length: 13 }, () => Math.floor(random() * 256));
      // Exponents of all ones are rare among random bits.
      if (round % 2 === 0) bytes.fill(0x7f, 4, 6);
      const start = round % 5;
      const some = bytes.subarray(start, start + 2 * size);
      const isFinite = toFloat32(some, dtype).every(Number.isFinite);
      expect(isAccepted(some, dtype)).toBe(isFinite);
    }
  });

  it('are accepted at the largest and smallest values, and where there are none', () => {
    const largest = {
      float32: 3.4028234663852886e38,
      bfloat16: 3.3895313892515355e38,
      float16: 65504,
    };
    const values = Float32Array.of(largest[dtype], -largest[dtype], 0, -0, 2 ** -149, 2 ** -24);
    expect(isAccepted(fromFloat32(values, dtype), dtype)).toBe(true);
    expect(isAccepted(new Uint8Array(), dtype)).toBe(true);
  });
});

it('scans ranges of files in threads, and says as much of what it finds as otherwise', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'data');
    // Pieces of a thread end at 2^20 bytes, what it is given at 2^25; no word of the file begins
    // where a value does.
    const [start, bytes] = [3, (1 << 25) + 1_200_002];
    await writeFile(path, Buffer.alloc(start + bytes, 0x3f));
    await using file = await open(path, 'r+');
    await using scanner = new FiniteScanner();
    const infinity = fromFloat32(Float32Array.of(-Infinity), 'bfloat16');
    const scan = (skipped: number): Promise<void> =>
      scanner.assertFinite(
        { path, start: start + skipped, bytes: bytes - skipped },
        'bfloat16',
        place,
      );
    await scan(0);
    for (const bad of [0, 1 << 20, bytes - 2]) {
      await file.write(infinity, 0, 2, start + bad);
      await expectRefusal(
        scan(0),
        'CHECKPOINT_NOT_FINITE',
        /^w in folder\/model\.safetensors holds -Infinity/,
      );
      if (bad === 0) await scan(2);
      await file.write(Uint8Array.of(0x3f, 0x3f), 0, 2, start + bad);
    }
  }));

it('names a file that is too short for what is to be scanned', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'data');
    await writeFile(path, new Uint8Array(10));
    await using scanner = new FiniteScanner();
    await expectRefusal(
      scanner.assertFinite({ path, start: 4, bytes: 8 }, 'float32', place),
      'CHECKPOINT_IO_FAILED',
      /data ends at byte 10/,
    );
    await expectRefusal(
      scanner.assertFinite({ path: `${path}-gone`, start: 4, bytes: 8 }, 'float32', place),
      'CHECKPOINT_IO_FAILED',
      /data-gone/,
    );
  }));
