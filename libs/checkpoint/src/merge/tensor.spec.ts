import { toFloat32, type FloatDType } from '../floats.js';
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
