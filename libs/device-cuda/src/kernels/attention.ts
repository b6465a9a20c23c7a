import { at } from '@emloc/checked';
import {
  DeviceError,
  type AttentionBackwardOptions,
  type AttentionOptions,
  type Tensor,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  rowsAndColumns,
  withScratch,
  type CudaContext,
} from '../context.js';
import type { Launcher } from '../launcher.js';

/**
 * Head sizes that the tensor-core kernels are compiled for; a smaller multiple of 8 is padded with
 * zeros in shared memory.
 */
const tileWidths = [32, 64, 96, 128] as const;
const narrowest = tileWidths[0];
const tileRows = 64;
const tileThreads = 128;
/** Blocks of the keys' kernel, long and short ones mixed, that keep the largest cards busy. */
const enoughBlocks = 512;
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
  for (const tensor of [q, k, v, out, logSumExp, sequences.deviceOffsets])
    launcher.pointer(addressOf(context, tensor));
  launcher
    .int32(problem.rows)
    .int32(heads)
    .int32(kvHeads)
    .int32(problem.headDim)
    .float32(scale)
    .launch(unitOf('attention', problem.width), `attention_${problem.width ?? problem.dtype}`, {
      grid: gridFor(options, heads, tiles),
      block: tileThreads,
      sharedBytes: tiles ? tileBytes(problem.width as number) : 0,
    });
}

/**
 * Scratch bytes of `attentionBackward`: one float32 a query and head, and float32 parts of dK and
 * dV for every head where the keys alone would leave much of the card idle.
 */
export function attentionBackwardScratchBytes(options: AttentionBackwardOptions): number {
  const { q, heads } = options;
  return deltaBytes(q, heads) + 2 * partBytes(options);
}

export function attentionBackward(context: CudaContext, options: AttentionBackwardOptions): void {
  const problem = inspect('attentionBackward', options, [options.dOut, options.dQ]);
  const { q, out, dOut, dK, dV, heads, k } = options;
  for (const tensor of [dK, dV]) expectShape('attentionBackward', tensor, k.shape);
  expectDType('attentionBackward', [problem.dtype], dK, dV);
  withScratch(context, attentionBackwardScratchBytes(options), (delta) => {
    context.launcher
      .begin()
      .pointer(addressOf(context, out))
      .pointer(addressOf(context, dOut))
      .pointer(delta)
      .int32(problem.rows)
      .int32(heads)
      .int32(problem.headDim)
      .launch(
        unitOf('attention-backward', problem.width ?? narrowest),
        `attention_delta_${problem.dtype}`,
        { grid: [Math.ceil((problem.rows * heads) / 4)], block: 128 },
      );
    launchKeys(context, options, problem, { delta, parts: delta + deltaBytes(q, heads) });
    launchQueries(context, options, problem, delta);
  });
}

function deltaBytes(q: Tensor, heads: number): number {
  return roundUp(q.dim(0) * heads * 4);
}

/**
 * Bytes of the parts of dK, or of dV; 0 where the kernel sums all heads itself. Decided by shapes
 * alone.
 */
function partBytes({
  q,
  heads,
  kvHeads,
  sequences: { offsets },
}: AttentionBackwardOptions): number {
  const headDim = q.dim(1) / heads;
  const tiles = offsets
    .slice(1)
    .reduce((sum, end, index) => sum + Math.ceil((end - at(offsets, index)) / tileRows), 0);
  const hasParts =
    tileWidth(q, headDim) !== null && heads > kvHeads && tiles * kvHeads < enoughBlocks;
  return hasParts ? roundUp(q.size * 4) : 0;
}

function launchKeys(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: Problem,
  { delta, parts }: { readonly delta: number; readonly parts: number },
): void {
  const { dK, dV, heads, kvHeads } = options;
  const { launcher } = context;
  beginBackward(context, options, problem, delta)
    .pointer(addressOf(context, dK))
    .pointer(addressOf(context, dV));
  if (problem.width === null) return launchBackward(launcher, options, problem, 'keys', kvHeads);
  const bytes = partBytes(options);
  const hasParts = bytes > 0;
  launcher
    .pointer(hasParts ? parts : 0)
    .pointer(hasParts ? parts + bytes : 0)
    .int32(hasParts ? 1 : heads / kvHeads);
  launchBackward(launcher, options, problem, 'keys', hasParts ? heads : kvHeads);
  if (!hasParts) return;
  for (const [source, target] of [
    [parts, dK],
    [parts + bytes, dV],
  ] as const) {
    launcher
      .begin()
      .pointer(source)
      .pointer(addressOf(context, target))
      .pointer(target.size / 2)
      .int32(heads / kvHeads)
      .int32(problem.headDim)
      .launch(unitOf('attention-backward', problem.width), 'attention_add_parts', {
        grid: [Math.ceil(target.size / 2 / 256)],
        block: 256,
      });
  }
}

function launchQueries(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: Problem,
  delta: number,
): void {
  beginBackward(context, options, problem, delta).pointer(addressOf(context, options.dQ));
  launchBackward(context.launcher, options, problem, 'queries', options.heads);
}

/** The parameters that both backward kernels start with. */
function beginBackward(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: Problem,
  delta: number,
): Launcher {
  const { q, k, v, dOut, logSumExp, sequences, heads, kvHeads, scale } = options;
  const { launcher } = context;
  launcher.begin();
  for (const tensor of [q, k, v, dOut, logSumExp]) launcher.pointer(addressOf(context, tensor));
  return launcher
    .pointer(delta)
    .pointer(addressOf(context, sequences.deviceOffsets))
    .int32(problem.rows)
    .int32(heads)
    .int32(kvHeads)
    .int32(problem.headDim)
    .float32(scale);
}

function launchBackward(
  launcher: Launcher,
  options: AttentionOptions,
  { width, dtype }: Problem,
  name: string,
  heads: number,
): void {
  const tiles = width !== null;
  launcher.launch(unitOf('attention-backward', width), `attention_${name}_${width ?? dtype}`, {
    grid: gridFor(options, heads, tiles),
    block: tileThreads,
    sharedBytes: tiles ? tileBytes(width) + 2 * tileRows * 4 : 0,
  });
}

function gridFor(
  { sequences }: Pick<AttentionOptions, 'sequences'>,
  heads: number,
  tiles: boolean,
): readonly [number, number, number] {
  return [
    Math.ceil(sequences.maxLength / (tiles ? tileRows : scalarRows)),
    heads,
    sequences.offsets.length - 1,
  ];
}

/** Only the head size in use is compiled. */
function unitOf(file: string, width: number | null): string {
  return width === null ? 'attention-scalar' : `${file}:HEAD_WIDTH=${width}`;
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
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${operation}: ${columns} columns, ${heads} heads, ${kvHeads} key heads do not divide`,
    );
  }
  for (const tensor of [out, ...like]) expectShape(operation, tensor, [rows, columns]);
  for (const tensor of [k, v]) expectShape(operation, tensor, [rows, kvHeads * headDim]);
  expectShape(operation, logSumExp, [heads, rows]);
  expectShape(operation, sequences.deviceOffsets, [sequences.offsets.length]);
  const dtype = expectDType(operation, ['float32', 'bfloat16'] as const, q, k, v, out, ...like);
  if (headDim > scalarMaximum)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cuda: ${operation}: heads of ${headDim}, at most ${scalarMaximum}`,
    );
  return { rows, headDim, dtype, width: tileWidth(q, headDim) };
}

function tileWidth(q: Tensor, headDim: number): number | null {
  return q.dtype === 'bfloat16' && headDim % 8 === 0
    ? (tileWidths.find((width) => headDim <= width) ?? null)
    : null;
}
