import { at } from '@emloc/checked';
import type { AttentionBackwardOptions, AttentionOptions, Tensor } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
import type { Launcher } from '../launcher.js';
import {
  backwardUnit,
  forwardSharedBytes,
  inspect,
  keysLaunch,
  masklessUnit,
  queriesLaunch,
  reachOf,
  scalarMaximum,
  scalarRows,
  tileRows,
  tileThreads,
  tileWidth,
  unitOf,
  type AttentionProblem,
  type BackwardLaunch,
} from './attention-plan.js';
import {
  isForWgmma,
  wgmmaAttention,
  wgmmaDelta,
  wgmmaKeys,
  wgmmaQueries,
} from './attention-wgmma.js';
import { attentionWideBackward, attentionWideBackwardBytes } from './attention-wide-backward.js';
import { attentionWide } from './attention-wide.js';

/** Blocks of the keys' kernel, long and short ones mixed, that keep the largest cards busy. */
const enoughBlocks = 512;

export function attention(context: CudaContext, options: AttentionOptions): void {
  const problem = inspect('attention', options, []);
  if (problem.headDim > scalarMaximum) return attentionWide(context, options, problem);
  if (isForWgmma(context, options, problem)) return wgmmaAttention(context, options, problem);
  const { q, k, v, out, logSumExp, sequences, heads, sinks, relativeBias } = options;
  const { launcher } = context;
  launcher.begin();
  for (const tensor of [q, k, v, out, logSumExp, sequences.deviceOffsets])
    launcher.pointer(addressOf(context, tensor));
  scalars(launcher, options, problem)
    .pointer(sinks ? addressOf(context, sinks) : 0)
    .pointer(relativeBias ? addressOf(context, relativeBias) : 0)
    .int32(reachOf(options))
    .launch(unitOf('attention', problem), `attention_${problem.width ?? problem.dtype}`, {
      grid: gridFor(options, heads, problem),
      block: tileThreads,
      sharedBytes: forwardSharedBytes(problem, options),
    });
}

/** What the kernels know beside tensors. */
function scalars(
  launcher: Launcher,
  { heads, kvHeads, scale, softCap = 0 }: AttentionOptions,
  { rows, headDim, window }: AttentionProblem,
): Launcher {
  return launcher
    .int32(rows)
    .int32(heads)
    .int32(kvHeads)
    .int32(headDim)
    .float32(scale)
    .int32(window)
    .float32(softCap);
}

/**
 * Scratch bytes of `attentionBackward`: one float32 a query and head, and float32 parts of dK and
 * dV for every head where the keys alone would leave much of the card idle; what wide heads take.
 */
export function attentionBackwardScratchBytes(options: AttentionBackwardOptions): number {
  const { q, heads } = options;
  const isWide = q.dim(1) / heads > scalarMaximum;
  const others = isWide ? attentionWideBackwardBytes(options) : 2 * partBytes(options);
  return deltaBytes(q, heads) + others;
}

export function attentionBackward(context: CudaContext, options: AttentionBackwardOptions): void {
  const problem = inspect('attentionBackward', options, [options.dOut, options.dQ]);
  const { q, dK, dV, heads, k } = options;
  for (const tensor of [dK, dV]) expectShape('attentionBackward', tensor, k.shape);
  expectDType('attentionBackward', [problem.dtype], dK, dV);
  const run = backwardOf(context, options, problem);
  withScratch(context, attentionBackwardScratchBytes(options), (delta) =>
    run(context, options, problem, { delta, parts: delta + deltaBytes(q, heads) }),
  );
}

function backwardOf(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
): typeof backwardByMma {
  if (problem.headDim > scalarMaximum) return backwardByProducts;
  return isForWgmma(context, options, problem) ? backwardByWgmma : backwardByMma;
}

/** Addresses of scratch memory. */
interface Scratch {
  readonly delta: number;
  readonly parts: number;
}

function backwardByWgmma(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  { delta, parts }: Scratch,
): void {
  const bytes = partBytes(options);
  wgmmaDelta(context, options, problem, delta);
  wgmmaKeys(context, options, problem, {
    delta,
    parts: bytes > 0 ? { k: parts, v: parts + bytes } : null,
  });
  if (bytes > 0) addParts(context, options, problem, parts);
  wgmmaQueries(context, options, problem, delta);
}

function backwardByMma(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  { delta, parts }: Scratch,
): void {
  launchDelta(context, options, problem, delta);
  launchKeys(context, options, problem, { delta, parts });
  launchQueries(context, options, problem, delta);
}

/** Of heads that no kernel of ours holds. */
function backwardByProducts(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  { delta, parts }: Scratch,
): void {
  launchDelta(context, options, problem, delta);
  attentionWideBackward(context, options, problem, { delta, scratch: parts });
}

function launchDelta(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  delta: number,
): void {
  const { out, dOut, heads } = options;
  context.launcher
    .begin()
    .pointer(addressOf(context, out))
    .pointer(addressOf(context, dOut))
    .pointer(delta)
    .int32(problem.rows)
    .int32(heads)
    .int32(problem.headDim)
    .launch(backwardUnit(problem), `attention_delta_${problem.dtype}`, {
      grid: [Math.ceil((problem.rows * heads) / 4)],
      block: 128,
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
  problem: AttentionProblem,
  { delta, parts }: Scratch,
): void {
  const { dK, dV, heads, kvHeads } = options;
  const { launcher } = context;
  beginBackward(context, options, problem, delta)
    .pointer(addressOf(context, dK))
    .pointer(addressOf(context, dV));
  const launch = keysLaunch(problem);
  if (problem.width === null) return launchBackward(launcher, options, problem, launch, kvHeads);
  const bytes = partBytes(options);
  const hasParts = bytes > 0;
  launcher
    .pointer(hasParts ? parts : 0)
    .pointer(hasParts ? parts + bytes : 0)
    .int32(hasParts ? 1 : heads / kvHeads);
  launchBackward(launcher, options, problem, launch, hasParts ? heads : kvHeads);
  if (hasParts) addParts(context, options, problem, parts);
}

/** dK and dV as the sums of the parts that every head has left. */
function addParts(
  context: CudaContext,
  options: AttentionBackwardOptions,
  { headDim }: AttentionProblem,
  parts: number,
): void {
  const { dK, dV, heads, kvHeads } = options;
  for (const [source, target] of [
    [parts, dK],
    [parts + partBytes(options), dV],
  ] as const) {
    context.launcher
      .begin()
      .pointer(source)
      .pointer(addressOf(context, target))
      .pointer(target.size / 2)
      .int32(heads / kvHeads)
      .int32(headDim)
      .launch(masklessUnit, 'attention_add_parts', {
        grid: [Math.ceil(target.size / 2 / 256)],
        block: 256,
      });
  }
}

function launchQueries(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  delta: number,
): void {
  beginBackward(context, options, problem, delta).pointer(addressOf(context, options.dQ));
  launchBackward(context.launcher, options, problem, queriesLaunch(problem), options.heads);
}

/** The parameters that both backward kernels start with. */
function beginBackward(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  delta: number,
): Launcher {
  const { q, k, v, dOut, logSumExp, sequences } = options;
  const { launcher } = context;
  launcher.begin();
  for (const tensor of [q, k, v, dOut, logSumExp]) launcher.pointer(addressOf(context, tensor));
  launcher.pointer(delta).pointer(addressOf(context, sequences.deviceOffsets));
  return scalars(launcher, options, problem);
}

function launchBackward(
  launcher: Launcher,
  options: AttentionOptions,
  problem: AttentionProblem,
  { unit, name, block, sharedBytes }: BackwardLaunch,
  heads: number,
): void {
  launcher.launch(unit, name, { grid: gridFor(options, heads, problem), block, sharedBytes });
}

function gridFor(
  { sequences }: Pick<AttentionOptions, 'sequences'>,
  heads: number,
  { width }: AttentionProblem,
): readonly [number, number, number] {
  return [
    Math.ceil(sequences.maxLength / (width === null ? scalarRows : tileRows)),
    heads,
    sequences.offsets.length - 1,
  ];
}
