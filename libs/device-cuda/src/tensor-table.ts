import type { Tensor } from '@emloc/device';

import { addressOf, type CudaContext } from './context.js';

/** CHUNK and THREADS of chunks.cuh. */
const chunkElements = 16_384;
export const chunkThreads = 256;

/** Places of the parts of a tensor list's table, in bytes; see chunks.cuh. */
interface TableLayout {
  readonly chunkCount: number;
  readonly sizes: number;
  readonly chunks: number;
  readonly first: number;
  readonly partial: number;
  readonly tableBytes: number;
  readonly totalBytes: number;
}

/** A list's table with everything but the addresses, which change when memory is moved. */
interface Table {
  readonly count: number;
  readonly layout: TableLayout;
  readonly words: Uint32Array;
}

/** By the first list and the number of lists: the same lists come step after step. */
const tables = new WeakMap<readonly Tensor[], Map<number, Table>>();

export function tableFor(tensors: readonly Tensor[], operands: number): Table {
  const known = tables.get(tensors) ?? new Map<number, Table>();
  tables.set(tensors, known);
  const kept = known.get(operands);
  const table = kept?.count === tensors.length ? kept : createTable(tensors, operands);
  known.set(operands, table);
  return table;
}

function layoutOf(tensors: readonly Tensor[], operands: number): TableLayout {
  const chunkCount = tensors.reduce((sum, { size }) => sum + Math.ceil(size / chunkElements), 0);
  const sizes = tensors.length * operands * 8;
  const chunks = sizes + tensors.length * 8;
  const first = chunks + chunkCount * 8;
  const tableBytes = Math.ceil((first + (tensors.length + 1) * 4) / 8) * 8;
  return {
    chunkCount,
    sizes,
    chunks,
    first,
    partial: tableBytes,
    tableBytes,
    totalBytes: tableBytes + chunkCount * 8,
  };
}

function createTable(tensors: readonly Tensor[], operands: number): Table {
  const layout = layoutOf(tensors, operands);
  const words = new Uint32Array(layout.tableBytes / 4);
  let chunk = 0;
  tensors.forEach(({ size }, tensor) => {
    write64(words, layout.sizes / 8 + tensor, size);
    words[layout.first / 4 + tensor] = chunk;
    for (let index = 0; index < Math.ceil(size / chunkElements); index += 1, chunk += 1) {
      words[layout.chunks / 4 + 2 * chunk] = tensor;
      words[layout.chunks / 4 + 2 * chunk + 1] = index;
    }
  });
  words[layout.first / 4 + tensors.length] = chunk;
  return { count: tensors.length, layout, words };
}

export function withAddresses(
  context: CudaContext,
  lists: readonly (readonly Tensor[])[],
  { words }: Table,
): Uint8Array {
  let index = 0;
  for (const list of lists)
    for (const tensor of list) write64(words, index++, addressOf(context, tensor));
  return new Uint8Array(words.buffer);
}

function write64(words: Uint32Array, index: number, value: number): void {
  words[2 * index] = value >>> 0;
  words[2 * index + 1] = Math.floor(value / 2 ** 32);
}
