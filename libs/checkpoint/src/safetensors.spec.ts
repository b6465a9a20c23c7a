import { readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  demoModel,
  expectRefusal,
  inFolder,
  refusal,
  seeded,
  tinyModel,
  writeRaw,
} from '../test/fixtures.js';
import { CheckpointError } from './errors.js';
import { openReleasable, openSafetensors } from './safetensors-file.js';
import type { TensorDType } from './tensor-dtype.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

const entry = (
  name: string,
  dtype: TensorDType,
  shape: number[],
  bytes: number[],
): SafetensorsEntry => ({ name, dtype, shape, data: () => Uint8Array.from(bytes) });

const header = (
  tensors: Record<string, { dtype?: unknown; shape?: unknown; data_offsets?: unknown }>,
) => JSON.stringify(tensors);

describe('reading', () => {
  it('gives back what was written, whole and by ranges, many at a time', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      await writeSafetensors(
        path,
        [
          entry('b', 'float16', [2], [1, 2, 3, 4]),
          entry('a', 'uint8', [3], [7, 8, 9]),
          entry('empty', 'float32', [0, 4], []),
        ],
        { format: 'pt' },
      );
      const file = await openSafetensors(path);
      expect(file.metadata).toEqual({ format: 'pt' });
      expect([...file.tensors]).toEqual([
        ['empty', { dtype: 'float32', shape: [0, 4], start: 0, end: 0 }],
        ['b', { dtype: 'float16', shape: [2], start: 0, end: 4 }],
        ['a', { dtype: 'uint8', shape: [3], start: 4, end: 7 }],
      ]);
      const reads = Array.from({ length: 50 }, async () => {
        const destination = new Uint8Array(4);
        await file.read('b', destination);
        return destination.join();
      });
      expect(new Set(await Promise.all(reads))).toEqual(new Set(['1,2,3,4']));
      const range = new Uint8Array(2);
      await file.readRange('a', 1, range);
      expect([...range]).toEqual([8, 9]);
      await file.close();
    }));

  it('reads a large tensor in pieces, every byte in its place, and refuses it when the file was cut meanwhile', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      const bytes = new Uint8Array(40 * 2 ** 20 + 5);
      for (let index = 0; index < bytes.length; index += 4099) bytes[index] = index;
      await writeSafetensors(
        path,
        [{ name: 'a', dtype: 'uint8', shape: [bytes.length], data: () => bytes }],
        {},
      );
      const file = await openSafetensors(path);
      const destination = new Uint8Array(bytes.length).fill(255);
      await file.read('a', destination);
      expect(Buffer.compare(destination, bytes)).toBe(0);
      await truncate(path, 20 * 2 ** 20);
      await expectRefusal(file.read('a', destination), 'CHECKPOINT_IO_FAILED', /was cut/);
      await file.close();
    }));

  it('refuses a file of the same size that was changed while its handle was given back', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      const write = (values: number[]) =>
        writeSafetensors(path, [entry('a', 'uint8', [3], values)], {});
      await write([7, 8, 9]);
      const file = await openReleasable(path);
      await file.release();
      const read = new Uint8Array(3);
      await file.read('a', read);
      expect([...read]).toEqual([7, 8, 9]);
      await file.release();
      await write([1, 2, 3]);
      await utimes(path, new Date(), new Date(2001, 1, 1));
      await expectRefusal(
        file.read('a', read),
        'CHECKPOINT_IO_FAILED',
        /x\.safetensors was changed/,
      );
      await file.close();
    }));

  it('refuses unknown tensors, wrong sizes, ranges outside and reads after close, by name', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      await writeSafetensors(path, [entry('a', 'uint8', [3], [7, 8, 9])], {});
      const file = await openSafetensors(path);
      await expectRefusal(
        file.read('z', new Uint8Array(3)),
        'CHECKPOINT_TENSOR_MISSING',
        /no tensor z/,
      );
      await expectRefusal(
        file.read('a', new Uint8Array(4)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /a has 3 bytes, its destination 4/,
      );
      await expectRefusal(
        file.readRange('a', 2, new Uint8Array(2)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /bytes 2 to 4 of tensor a, which has 3/,
      );
      await expectRefusal(
        file.readRange('a', -1, new Uint8Array(1)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /bytes -1/,
      );
      await truncate(path, (await readFile(path)).byteLength - 1);
      await expectRefusal(file.read('a', new Uint8Array(3)), 'CHECKPOINT_IO_FAILED', /was cut/);
      await file.close();
      await file.close();
      await expectRefusal(file.read('a', new Uint8Array(3)), 'CHECKPOINT_IO_FAILED', /closed/);
    }));

  it('refuses what is no file', () =>
    inFolder(async (folder) => {
      await expectRefusal(
        openSafetensors(join(folder, 'none')),
        'CHECKPOINT_NOT_FOUND',
        /none does not exist/,
      );
      expect((await refusal(openSafetensors(folder))).code).toMatch(/INVALID_FILE|IO_FAILED/);
    }));
});

describe('hostile headers', () => {
  const f32 = (start: number, end: number, shape: unknown = [(end - start) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [start, end],
  });
  const cases: readonly (readonly [string, string | Uint8Array, number, RegExp])[] = [
    ['no JSON', '{"a":', 0, /not UTF-8 JSON/],
    ['a list', '[]', 0, /not a JSON object/],
    ['white space before the object', ' {}', 0, /not a JSON object/],
    ['no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), 0, /not UTF-8 JSON/],
    [
      'deep nesting',
      `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
      0,
      /not UTF-8 JSON: a: it is nested more than 16 deep/,
    ],
    [
      'an unknown dtype',
      header({ a: { dtype: 'F33', shape: [1], data_offsets: [0, 4] } }),
      4,
      /tensor a: unknown dtype F33/,
    ],
    [
      'an entry without dtype',
      header({ a: { shape: [1], data_offsets: [0, 4] } }),
      4,
      /unknown dtype/,
    ],
    ['a negative extent', header({ a: f32(0, 4, [-1]) }), 4, /shape \[-1\]|shape/],
    [
      'a fraction as extent',
      header({ a: f32(0, 4, [1.5]) }),
      4,
      /not a list of non-negative integers/,
    ],
    ['a shape that is no list', header({ a: f32(0, 4, '1') }), 4, /not a list/],
    [
      'more dimensions than are read',
      header({ a: f32(0, 4, Array<number>(65).fill(1)) }),
      4,
      /tensor a: it has 65 dimensions, at most 64/,
    ],
    [
      'more values than are kept',
      header({ a: f32(0, 4, Array<number>(700_001).fill(1)) }),
      4,
      /it has more than 700000 values/,
    ],
    [
      'three offsets',
      header({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }),
      4,
      /data_offsets/,
    ],
    [
      'offsets in reverse',
      header({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 0] } }),
      4,
      /before its start/,
    ],
    [
      'a size that does not match',
      header({ a: f32(0, 8, [1]) }),
      8,
      /8 bytes of data, 4 for its shape/,
    ],
    [
      'a product that overflows',
      header({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }),
      4,
      /no size in bytes/,
    ],
    [
      'half a byte',
      header({ a: { dtype: 'F4', shape: [1], data_offsets: [0, 1] } }),
      1,
      /no size in bytes/,
    ],
    ['data outside the file', header({ a: f32(0, 8) }), 4, /ends at byte 8 of 4/],
    ['an overlap', header({ a: f32(0, 8), b: f32(4, 12) }), 12, /overlaps/],
    ['a hole', header({ a: f32(0, 4), b: f32(8, 12) }), 12, /no tensor has the bytes 4 to 8/],
    ['a hole at the start', header({ a: f32(4, 8) }), 8, /bytes 0 to 4/],
    ['bytes after the last tensor', header({ a: f32(0, 4) }), 5, /take 4 bytes, the file has 5/],
    [
      'a tensor twice',
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      4,
      /key a twice/,
    ],
    [
      'a field twice',
      '{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}',
      4,
      /key dtype twice/,
    ],
    [
      'metadata that is no object of strings',
      '{"__metadata__":{"a":1}}',
      0,
      /__metadata__ is not an object of strings/,
    ],
  ];

  it.each(cases)('refuses %s', (_, text, dataBytes, message) =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      await writeRaw(path, text, dataBytes);
      await expectRefusal(openSafetensors(path), 'CHECKPOINT_INVALID_FILE', message);
    }),
  );

  it('refuses header lengths above the limit, above the file, and files without one', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      await writeRaw(path, '{}', 0, 100_000_001n);
      await expectRefusal(
        openSafetensors(path),
        'CHECKPOINT_INVALID_FILE',
        /above the limit of 100000000/,
      );
      await writeRaw(path, '{}', 0, 2n ** 64n - 1n);
      await expectRefusal(openSafetensors(path), 'CHECKPOINT_INVALID_FILE', /above the limit/);
      await writeRaw(path, '{}', 0, 3n);
      await expectRefusal(
        openSafetensors(path),
        'CHECKPOINT_INVALID_FILE',
        /does not fit into the file of 10 bytes/,
      );
      await writeFile(path, 'short');
      await expectRefusal(
        openSafetensors(path),
        'CHECKPOINT_INVALID_FILE',
        /5 bytes are no safetensors file/,
      );
    }));

  it('keeps names like __proto__ and braces in names apart from structure', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      await writeSafetensors(
        path,
        [
          entry('__proto__', 'uint8', [1], [1]),
          entry('{"a":1}', 'uint8', [1], [2]),
          entry('10', 'uint8', [1], [3]),
          entry('9', 'uint8', [1], [4]),
        ],
        {},
      );
      const file = await openSafetensors(path);
      expect([...file.tensors.keys()]).toEqual(['10', '9', '__proto__', '{"a":1}']);
      await file.close();
    }));

  it('answers 2000 mutated headers with a CheckpointError or a consistent file', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x.safetensors');
      const valid = Buffer.from(
        header({
          a: f32(0, 8),
          'b.weight': f32(8, 24, [2, 2]),
          c: { dtype: 'BF16', shape: [], data_offsets: [24, 26] },
        }),
      );
      const random = seeded(2026);
      let refused = 0;
      for (let round = 0; round < 2000; round += 1) {
        const mutated = mutate(valid, random);
        await writeRaw(
          path,
          mutated,
          26,
          random() < 0.1 ? BigInt(Math.floor(random() * 400)) : undefined,
        );
        const outcome = await openSafetensors(path).catch((error: unknown) => error);
        if (outcome instanceof CheckpointError) refused += 1;
        else if (outcome instanceof Error)
          throw new Error(`round ${round}: ${mutated.toString('latin1')}`, { cause: outcome });
        else {
          const file = outcome as Awaited<ReturnType<typeof openSafetensors>>;
          expect(
            [...file.tensors.values()].reduce((sum, { start, end }) => sum + end - start, 0),
          ).toBe(file.bytes - 8 - file.headerBytes.byteLength);
          await file.close();
        }
      }
      expect(refused).toBeGreaterThan(1000);
    }));
});

/** One to four bytes changed, dropped, doubled, or replaced by what the format uses. */
function mutate(valid: Buffer, random: () => number): Buffer {
  const bytes = [...valid];
  const tokens = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ',',
    '-1',
    '1e999',
    'null',
    '18446744073709551616',
    '"__metadata__"',
    '\\u0000',
  ];
  for (let count = 1 + Math.floor(random() * 4); count > 0; count -= 1) {
    const at = Math.floor(random() * bytes.length);
    const kind = random();
    if (kind < 0.4) bytes[at] = Math.floor(random() * 256);
    else if (kind < 0.6) bytes.splice(at, 1 + Math.floor(random() * 5));
    else if (kind < 0.8)
      bytes.splice(at, 0, ...bytes.slice(at, at + 1 + Math.floor(random() * 40)));
    else bytes.splice(at, 1, ...Buffer.from(tokens[Math.floor(random() * tokens.length)] ?? ''));
  }
  return Buffer.from(bytes);
}

describe('writing', () => {
  it.each([demoModel, tinyModel])('reproduces %s byte for byte', (model) =>
    inFolder(async (folder) => {
      const original = join(model, 'model.safetensors');
      const file = await openSafetensors(original);
      const entries = [...file.tensors]
        .reverse()
        .map(([name, { dtype, shape, start, end }]): SafetensorsEntry => ({
          name,
          dtype,
          shape,
          data: async () => {
            const bytes = new Uint8Array(end - start);
            await file.read(name, bytes);
            return bytes;
          },
        }));
      await writeSafetensors(join(folder, 'copy'), entries, file.metadata);
      await file.close();
      expect((await readFile(join(folder, 'copy'))).equals(await readFile(original))).toBe(true);
    }),
  );

  it('puts wide dtypes first, then names, with the data aligned', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x');
      const entries = [
        entry('a', 'uint8', [1], [1]),
        entry('z', 'float64', [1], Array<number>(8).fill(0)),
        entry('y', 'bfloat16', [1], [2, 3]),
        entry('b', 'float32', [1], [4, 5, 6, 7]),
      ];
      await writeSafetensors(path, entries, { b: '2', a: '1' });
      const file = await openSafetensors(path);
      expect([...file.tensors.keys()]).toEqual(['z', 'b', 'y', 'a']);
      expect(file.headerBytes.byteLength % 8).toBe(0);
      await file.close();
      await writeSafetensors(join(folder, 'y'), [...entries].reverse(), { a: '1', b: '2' });
      expect((await readFile(join(folder, 'y'))).equals(await readFile(path))).toBe(true);
    }));

  it('asks for one tensor at a time, takes pieces, and shows every byte', () =>
    inFolder(async (folder) => {
      const asked: string[] = [];
      const seen: Uint8Array[] = [];
      const entries = ['b', 'a'].map((name): SafetensorsEntry => ({
        name,
        dtype: 'uint8',
        shape: [4],
        data: async function* pieces() {
          asked.push(`${name} starts`);
          yield Uint8Array.of(1, 2);
          yield Uint8Array.of(3, 4);
          asked.push(`${name} ends`);
        },
      }));
      await writeSafetensors(
        join(folder, 'x'),
        entries,
        {},
        { onBytes: (bytes) => seen.push(bytes) },
      );
      expect(asked).toEqual(['a starts', 'a ends', 'b starts', 'b ends']);
      expect(Buffer.concat(seen).equals(await readFile(join(folder, 'x')))).toBe(true);
    }));

  it('leaves the old file and nothing else when data is too short, too long, throws or is aborted', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'x');
      await writeFile(path, 'old');
      const failing = (data: () => Uint8Array) =>
        writeSafetensors(path, [{ name: 'a', dtype: 'uint8', shape: [2], data }], {});
      await expectRefusal(
        failing(() => Uint8Array.of(1)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /a takes 2 bytes, got 1/,
      );
      await expectRefusal(
        failing(() => Uint8Array.of(1, 2, 3)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /got 3/,
      );
      await expect(
        failing(() => {
          throw new Error('no data');
        }),
      ).rejects.toThrow('no data');
      const controller = new AbortController();
      const aborting = writeSafetensors(
        path,
        [
          {
            name: 'a',
            dtype: 'uint8',
            shape: [1],
            data: () => {
              controller.abort();
              return Uint8Array.of(1);
            },
          },
        ],
        {},
        { signal: controller.signal },
      );
      await expect(aborting).rejects.toHaveProperty('name', 'AbortError');
      await expectRefusal(
        writeSafetensors(path, [entry('a', 'uint8', [1], [1]), entry('a', 'uint8', [1], [1])], {}),
        'CHECKPOINT_INVALID_OPTION',
        /two tensors/,
      );
      expect(await readdir(folder)).toEqual(['x']);
      expect(await readFile(path, 'utf8')).toBe('old');
    }));
});
