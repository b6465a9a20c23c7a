import { type AdamwOptions, DeviceError, type SquaredNormsOptions, type Tensor } from '@emloc/device';
import { addressOf, type CudaContext, expectDType, expectShape, roundUp, withScratch } from '../context.js';

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

function layoutOf(tensors: readonly Tensor[], operands: number): TableLayout {
  const chunkCount = tensors.reduce((sum, { size }) => sum + Math.ceil(size / chunkElements), 0);
  const sizes = tensors.length * operands * 8;
  const chunks = sizes + tensors.length * 8;
  const first = chunks + chunkCount * 8;
  const tableBytes = Math.ceil((first + (tensors.length + 1) * 4) / 8) * 8;
  return { chunkCount, sizes, chunks, first, partial: tableBytes, tableBytes, totalBytes: tableBytes + chunkCount * 8 };
}

export function squaredNormsScratchBytes({ tensors }: SquaredNormsOptions): number {
  return roundUp(layoutOf(tensors, 1).totalBytes);
}

export function adamwScratchBytes({ parameters }: AdamwOptions): number {
  return roundUp(layoutOf(parameters, 4).totalBytes);
}

export function squaredNorms(context: CudaContext, { tensors, out }: SquaredNormsOptions): void {
  expectShape('squaredNorms', out, [tensors.length]);
  expectDType('squaredNorms', ['float32'], out);
  const [head, ...others] = tensors;
  if (!head) return;
  const dtype = expectDType('squaredNorms', ['float32', 'bfloat16', 'float64'] as const, head, ...others);
  const layout = layoutOf(tensors, 1);
  withScratch(context, layout.totalBytes, (table) => {
    context.transfers.uploadTable(table, tableOf(context, [tensors], layout));
    context.launcher.begin().pointer(table).pointer(table + layout.sizes).pointer(table + layout.chunks).pointer(table + layout.partial)
      .launch('optimizer', `squared_norm_chunks_${dtype}`, { grid: [layout.chunkCount], block: threads });
    context.launcher.begin().pointer(table + layout.first).pointer(table + layout.partial).pointer(addressOf(context, out))
      .launch('optimizer', 'squared_norm_totals', { grid: [tensors.length], block: 128 });
  });
}

export function adamw(context: CudaContext, options: AdamwOptions): void {
  const { parameters, gradients, firstMoments, secondMoments, squaredGradientNorms, step, beta1, beta2 } = options;
  const lists = [parameters, gradients, firstMoments, secondMoments];
  checkLists(lists);
  const [head, ...others] = lists.flat();
  if (!head) return;
  expectDType('adamw', ['float32'], head, ...others, squaredGradientNorms);
  const layout = layoutOf(parameters, 4);
  withScratch(context, layout.totalBytes, (table) => {
    context.transfers.uploadTable(table, tableOf(context, lists, layout));
    context.launcher.begin().pointer(table).pointer(table + layout.sizes).pointer(table + layout.chunks).int32(parameters.length)
      .pointer(addressOf(context, squaredGradientNorms)).int32(squaredGradientNorms.size).float32(options.maxGradientNorm)
      .float32(options.learningRate).float32(beta1).float32(beta2).float32(1 - beta1).float32(1 - beta2)
      .float32(options.epsilon).float32(options.weightDecay)
      .float32(1 - beta1 ** step).float32(1 - beta2 ** step)
      .launch('optimizer', 'adamw', { grid: [layout.chunkCount], block: threads });
  });
}

function checkLists([parameters = [], ...others]: readonly (readonly Tensor[])[]): void {
  for (const list of others) {
    if (list.length !== parameters.length) {
      throw new DeviceError('DEVICE_SHAPE_MISMATCH', `cuda: adamw: ${list.length} tensors for ${parameters.length} parameters`);
    }
    list.forEach((tensor, index) => expectShape('adamw', tensor, parameters[index]?.shape ?? []));
  }
}

function tableOf(context: CudaContext, lists: readonly (readonly Tensor[])[], layout: TableLayout): Uint8Array {
  const words = new Uint32Array(layout.tableBytes / 4);
  lists.flat().forEach((tensor, index) => write64(words, index, addressOf(context, tensor)));
  const sizes = layout.sizes / 8;
  let chunk = 0;
  (lists[0] ?? []).forEach(({ size }, tensor) => {
    write64(words, sizes + tensor, size);
    words[layout.first / 4 + tensor] = chunk;
    for (let index = 0; index < Math.ceil(size / chunkElements); index += 1, chunk += 1) {
      words[layout.chunks / 4 + 2 * chunk] = tensor;
      words[layout.chunks / 4 + 2 * chunk + 1] = index;
    }
  });
  words[layout.first / 4 + (lists[0]?.length ?? 0)] = chunk;
  return new Uint8Array(words.buffer);
}

function write64(words: Uint32Array, index: number, value: number): void {
  words[2 * index] = value >>> 0;
  words[2 * index + 1] = Math.floor(value / 2 ** 32);
}
