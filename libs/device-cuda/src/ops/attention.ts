import { type AttentionBackwardOptions, type AttentionOptions, DeviceError, type Tensor } from '@emloc/device';
import { addressOf, type CudaContext, expectDType, expectShape, roundUp, rowsAndColumns, withScratch } from '../context.js';

/** Head sizes that the tensor-core kernels are compiled for; a smaller multiple of 8 is padded with zeros in shared memory. */
const tileWidths = [32, 64, 96, 128] as const;
const tileRows = 64;
const tileThreads = 128;
/** Rows, one warp each, that a block of the scalar kernels does, and the largest head they do. */
const scalarRows = 4;
const scalarMaximum = 256;

interface Problem {
  readonly rows: number;
  readonly headDim: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** Width of the tensor-core kernel to use; null for the scalar ones. */
  readonly width: number | null;
}

export function attention(context: CudaContext, options: AttentionOptions): void {
  const problem = inspect('attention', options, []);
  const { q, k, v, out, logSumExp, sequences, heads, kvHeads, scale } = options;
  const tiles = problem.width !== null;
  const { launcher } = context;
  launcher.begin();
  for (const tensor of [q, k, v, out, logSumExp, sequences.deviceOffsets]) launcher.pointer(addressOf(context, tensor));
  launcher.int32(problem.rows).int32(heads).int32(kvHeads).int32(problem.headDim).float32(scale)
    .launch(tiles ? 'attention' : 'attention-scalar', `attention_${problem.width ?? problem.dtype}`, {
      grid: gridFor(options, heads, tiles), block: tileThreads, sharedBytes: tiles ? tileBytes(problem.width as number) : 0,
    });
}

/** Scratch bytes of `attentionBackward`: one float32 a query and head. */
export function attentionBackwardScratchBytes({ q, heads }: AttentionBackwardOptions): number {
  return roundUp((q.shape[0] ?? 0) * heads * 4);
}

export function attentionBackward(context: CudaContext, options: AttentionBackwardOptions): void {
  const problem = inspect('attentionBackward', options, [options.dOut, options.dQ]);
  const { out, dOut, dQ, dK, dV, heads, kvHeads, k } = options;
  for (const tensor of [dK, dV]) expectShape('attentionBackward', tensor, k.shape);
  expectDType('attentionBackward', [problem.dtype], dK, dV);
  withScratch(context, attentionBackwardScratchBytes(options), (delta) => {
    const { launcher } = context;
    launcher.begin().pointer(addressOf(context, out)).pointer(addressOf(context, dOut)).pointer(delta)
      .int32(problem.rows).int32(heads).int32(problem.headDim)
      .launch('attention-backward', `attention_delta_${problem.dtype}`, { grid: [Math.ceil((problem.rows * heads) / 4)], block: 128 });
    launchBackward(context, options, problem, { name: 'keys', heads: kvHeads, delta, outputs: [dK, dV] });
    launchBackward(context, options, problem, { name: 'queries', heads, delta, outputs: [dQ] });
  });
}

interface BackwardPart {
  readonly name: 'keys' | 'queries';
  readonly heads: number;
  readonly delta: number;
  readonly outputs: readonly Tensor[];
}

function launchBackward(context: CudaContext, options: AttentionBackwardOptions, problem: Problem, part: BackwardPart): void {
  const { q, k, v, dOut, logSumExp, sequences, heads, kvHeads, scale } = options;
  const tiles = problem.width !== null;
  const { launcher } = context;
  launcher.begin();
  for (const tensor of [q, k, v, dOut, logSumExp]) launcher.pointer(addressOf(context, tensor));
  launcher.pointer(part.delta).pointer(addressOf(context, sequences.deviceOffsets))
    .int32(problem.rows).int32(heads).int32(kvHeads).int32(problem.headDim).float32(scale);
  for (const tensor of part.outputs) launcher.pointer(addressOf(context, tensor));
  launcher.launch(tiles ? 'attention-backward' : 'attention-scalar', `attention_${part.name}_${problem.width ?? problem.dtype}`, {
    grid: gridFor(options, part.heads, tiles), block: tileThreads,
    sharedBytes: tiles ? tileBytes(problem.width as number) + 2 * tileRows * 4 : 0,
  });
}

function gridFor({ sequences }: Pick<AttentionOptions, 'sequences'>, heads: number, tiles: boolean): readonly [number, number, number] {
  return [Math.ceil(sequences.maxLength / (tiles ? tileRows : scalarRows)), heads, sequences.offsets.length - 1];
}

/** Four tiles of rows that are 8 elements wider than the head, in bfloat16; see tile.cuh. */
function tileBytes(width: number): number {
  return 4 * tileRows * (width + 8) * 2;
}

function inspect(operation: string, options: AttentionOptions, like: readonly Tensor[]): Problem {
  const { q, k, v, out, logSumExp, sequences, heads, kvHeads } = options;
  const [rows, columns] = rowsAndColumns(operation, q);
  const headDim = columns / heads;
  if (!Number.isInteger(headDim) || heads % kvHeads !== 0) {
    throw new DeviceError('DEVICE_SHAPE_MISMATCH', `cuda: ${operation}: ${columns} columns, ${heads} heads, ${kvHeads} key heads do not divide`);
  }
  for (const tensor of [out, ...like]) expectShape(operation, tensor, [rows, columns]);
  for (const tensor of [k, v]) expectShape(operation, tensor, [rows, kvHeads * headDim]);
  expectShape(operation, logSumExp, [heads, rows]);
  expectShape(operation, sequences.deviceOffsets, [sequences.offsets.length]);
  const dtype = expectDType(operation, ['float32', 'bfloat16'] as const, q, k, v, out, ...like);
  if (headDim > scalarMaximum) throw new DeviceError('DEVICE_UNSUPPORTED', `cuda: ${operation}: heads of ${headDim}, at most ${scalarMaximum}`);
  return { rows, headDim, dtype, width: dtype === 'bfloat16' && headDim % 8 === 0 ? tileWidths.find((width) => headDim <= width) ?? null : null };
}
