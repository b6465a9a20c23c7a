import { at } from '@emloc/checked';
import {
  DeviceError,
  type AdamwOptions,
  type SquaredNormsOptions,
  type Tensor,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';

/** CHUNK and THREADS of optimizer.cu. */
const chunkElements = 16_384;
const threads = 256;

/** Places of the parts of a tensor list's table, in bytes; see optimizer.cu. */
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

function tableFor(tensors: readonly Tensor[], operands: number): Table {
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

export function squaredNormsScratchBytes({ tensors }: SquaredNormsOptions): number {
  return roundUp(tableFor(tensors, 1).layout.totalBytes);
}

export function adamwScratchBytes({ parameters }: AdamwOptions): number {
  return roundUp(tableFor(parameters, 4).layout.totalBytes);
}

export function squaredNorms(context: CudaContext, { tensors, out }: SquaredNormsOptions): void {
  expectShape('squaredNorms', out, [tensors.length]);
  expectDType('squaredNorms', ['float32'], out);
  const [head, ...others] = tensors;
  if (!head) return;
  const dtype = expectDType(
    'squaredNorms',
    ['float32', 'bfloat16', 'float64'] as const,
    head,
    ...others,
  );
  const known = tableFor(tensors, 1);
  const { layout } = known;
  withScratch(context, layout.totalBytes, (table) => {
    context.transfers.uploadTable(table, withAddresses(context, [tensors], known));
    context.launcher
      .begin()
      .pointer(table)
      .pointer(table + layout.sizes)
      .pointer(table + layout.chunks)
      .pointer(table + layout.partial)
      .launch('optimizer', `squared_norm_chunks_${dtype}`, {
        grid: [layout.chunkCount],
        block: threads,
      });
    context.launcher
      .begin()
      .pointer(table + layout.first)
      .pointer(table + layout.partial)
      .pointer(addressOf(context, out))
      .launch('optimizer', 'squared_norm_totals', { grid: [tensors.length], block: 128 });
  });
}

export function adamw(context: CudaContext, options: AdamwOptions): void {
  const {
    parameters,
    gradients,
    firstMoments,
    secondMoments,
    squaredGradientNorms,
    step,
    beta1,
    beta2,
  } = options;
  const lists = [parameters, gradients, firstMoments, secondMoments];
  if (parameters.length === 0) return;
  checkLists(parameters, gradients, firstMoments, secondMoments);
  expectDType('adamw', ['float32'], squaredGradientNorms);
  const known = tableFor(parameters, 4);
  const { layout } = known;
  withScratch(context, layout.totalBytes, (table) => {
    context.transfers.uploadTable(table, withAddresses(context, lists, known));
    context.launcher
      .begin()
      .pointer(table)
      .pointer(table + layout.sizes)
      .pointer(table + layout.chunks)
      .int32(parameters.length)
      .pointer(addressOf(context, squaredGradientNorms))
      .int32(squaredGradientNorms.size)
      .float32(options.maxGradientNorm)
      .float32(options.learningRate)
      .float32(beta1)
      .float32(beta2)
      .float32(1 - beta1)
      .float32(1 - beta2)
      .float32(options.epsilon)
      .float32(options.weightDecay)
      .float32(1 - beta1 ** step)
      .float32(1 - beta2 ** step)
      .launch('optimizer', 'adamw', { grid: [layout.chunkCount], block: threads });
  });
}

/** Lists that were found to belong to the first one. */
const checked = new WeakMap<readonly Tensor[], WeakSet<readonly Tensor[]>>();

function checkLists(
  parameters: readonly Tensor[],
  ...others: readonly (readonly Tensor[])[]
): void {
  const known = checked.get(parameters) ?? new WeakSet();
  checked.set(parameters, known);
  for (const list of [parameters, ...others].filter((candidate) => !known.has(candidate))) {
    if (list.length !== parameters.length) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `cuda: adamw: ${list.length} tensors for ${parameters.length} parameters`,
      );
    }
    list.forEach((tensor, index) => {
      expectShape('adamw', tensor, at(parameters, index).shape);
      expectDType('adamw', ['float32'], tensor);
    });
    known.add(list);
  }
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

function withAddresses(
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
