import { fromFloat32, toFloat32, type FloatDType } from '../floats.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { TensorMerge } from './plan.js';
import { mergedPieces } from './tensor.js';

const mebibyte = 2 ** 20;

/** A source of zeros that remembers how much was asked for at a time. */
function zeros(): { source: SafetensorsFile; reads: number[] } {
  const reads: number[] = [];
  const unused = () => Promise.reject(new Error('not a range'));
  const source: SafetensorsFile = {
    path: 'zeros',
    bytes: 0,
    tensors: new Map(),
    metadata: {},
    headerBytes: new Uint8Array(),
    read: unused,
    rangeOf: () => ({ path: 'zeros', start: 0, bytes: 0 }),
    close: unused,
    [Symbol.asyncDispose]: unused,
    readRange: async (_, __, destination) => {
      reads.push(destination.byteLength);
    },
  };
  return { source, reads };
}

function adapted(rows: number, columns: number, to: FloatDType): TensorMerge {
  const a = new Float32Array(columns).fill(1);
  const b = Float32Array.from({ length: rows }, (_, row) => row + 1);
  const update = { a, b, inFeatures: columns, rank: 1, scale: 2, startRow: 0, rows };
  return {
    name: 'w',
    shape: [rows, columns],
    from: 'bfloat16',
    to,
    units: rows,
    unitBytes: 2 * columns,
    outputBytes: 0,
    updates: [update],
  };
}

it('works on a large tensor in pieces of 8 MiB, each row with its own update', async () => {
  const { source, reads } = zeros();
  const [rows, columns] = [40, 2 ** 18];
  let row = 0;
  for await (const piece of mergedPieces(source, adapted(rows, columns, 'float32'))) {
    const values = toFloat32(piece, 'float32');
    for (let start = 0; start < values.length; start += columns)
      expect(values[start + columns - 1]).toBe(2 * (row += 1));
  }
  expect(row).toBe(rows);
  expect(reads).toEqual([8 * mebibyte, 8 * mebibyte, 4 * mebibyte]);
});

it('adds to what it reads anew for each piece, in blocks of whole rows', async () => {
  const { source } = zeros();
  const [rows, columns] = [2500, 3000];
  const ones: SafetensorsFile = {
    ...source,
    readRange: async (_, __, destination) => {
      const values = new Float32Array(destination.byteLength / 2).fill(1);
      destination.set(fromFloat32(values, 'bfloat16'));
    },
  };
  const { updates, ...tensor } = adapted(rows, columns, 'bfloat16');
  const few = updates.map((update) => ({ ...update, scale: 2 ** -4, startRow: 3, rows: rows - 5 }));
  let row = 0;
  for await (const piece of mergedPieces(ones, { ...tensor, updates: few })) {
    for (let start = 0; start < piece.byteLength; start += 2 * columns, row += 1) {
      const added = row < 3 || row >= rows - 2 ? 0 : (row - 2) * 2 ** -4;
      const expected = fromFloat32(new Float32Array(columns).fill(1 + added), 'bfloat16');
      expect(Buffer.compare(piece.subarray(start, start + 2 * columns), expected)).toBe(0);
    }
  }
  expect(row).toBe(rows);
});

it('takes at least one row at a time, however long, and copies what is neither adapted nor converted in pieces', async () => {
  const wide = zeros();
  for await (const piece of mergedPieces(wide.source, adapted(2, 5 * mebibyte, 'bfloat16')))
    expect(piece.byteLength).toBe(10 * mebibyte);
  expect(wide.reads).toEqual([10 * mebibyte, 10 * mebibyte]);
  const raw = zeros();
  const copied: TensorMerge = {
    name: 'w',
    shape: [9 * mebibyte],
    from: 'uint8',
    to: 'uint8',
    units: 9 * mebibyte,
    unitBytes: 1,
    outputBytes: 9 * mebibyte,
    updates: [],
  };
  for await (const piece of mergedPieces(raw.source, copied))
    expect(piece.byteLength).toBeGreaterThan(0);
  expect(raw.reads).toEqual([8 * mebibyte, mebibyte]);
});

describe('a number beside the weights', () => {
  /** Of one value, as a bound of what a layer clips is. */
  const bound = (to: FloatDType): TensorMerge => ({
    ...{ name: 'input_max', shape: [], from: 'bfloat16', to, updates: [] },
    ...{ units: 1, unitBytes: 2, outputBytes: 0 },
  });
  const merged = async (value: number, to: FloatDType): Promise<Uint8Array> => {
    const { source } = zeros();
    const readRange = (_: string, __: number, destination: Uint8Array): Promise<void> => {
      destination.set(fromFloat32(Float32Array.of(value), 'bfloat16'));
      return Promise.resolve();
    };
    const pieces: Uint8Array[] = [];
    for await (const piece of mergedPieces({ ...source, readRange }, bound(to))) pieces.push(piece);
    return Buffer.concat(pieces);
  };

  it.each([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'stays %p in any dtype',
    async (value) => {
      for (const dtype of ['bfloat16', 'float16', 'float32'] as const)
        expect([...toFloat32(await merged(value, dtype), dtype)]).toEqual([value]);
    },
  );

  it('is refused in another dtype where it is no number', async () => {
    await expect(merged(Number.NaN, 'float32')).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FINITE',
    });
  });
});
