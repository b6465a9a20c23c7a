import type { AttentionBackwardOptions, AttentionOptions, Tensor } from '@emloc/device';

import { addressOf, type CudaContext } from '../context.js';
import type { Launcher } from '../launcher.js';
import { unitOf, type AttentionProblem } from './attention-plan.js';

/** The one head size of these kernels. */
const head = 128;
/** Queries, or keys, that a block does; keys, or queries, that it walks over at a time. */
const ownRows = 128;
const stepRows = 128;
const queryStepRows = 64;
/** Rows of queries and gradients that the keys' kernel keeps beside the step in use. */
const queryStages = 3;
const stages = 2;
/** A warpgroup that copies and two that compute. */
const threads = 3 * 128;
/** What barriers take, and moving the start of shared memory to a multiple of 1024. */
const sparedBytes = 1024 + 128;

const rowBytes = head * 2;
const forwardBytes = rowBytes * (ownRows + 2 * stages * stepRows) + sparedBytes;
const queriesBytes = rowBytes * (2 * ownRows + 2 * stages * stepRows) + sparedBytes;
const keysBytes =
  rowBytes * (2 * ownRows + 2 * queryStages * queryStepRows) +
  queryStages * queryStepRows * 2 * 4 +
  sparedBytes;

/** Whether the kernels for Hopper do it; see attention-wgmma.cu. */
export function isForWgmma(
  { hasWgmma }: CudaContext,
  { softCap, relativeBias }: AttentionOptions,
  { dtype, headDim, rows }: AttentionProblem,
): boolean {
  const isPlain = softCap === undefined && relativeBias === undefined;
  return hasWgmma && dtype === 'bfloat16' && headDim === head && isPlain && rows > 0;
}

export function wgmmaAttention(
  context: CudaContext,
  options: AttentionOptions,
  problem: AttentionProblem,
): void {
  const { q, k, v, out, logSumExp, heads, sinks } = options;
  const { launcher } = context;
  launcher.begin();
  map(context, problem, q, ownRows);
  for (const tensor of [k, v]) map(context, problem, tensor, stepRows);
  launcher.pointer(addressOf(context, out)).pointer(addressOf(context, logSumExp));
  scalars(context, options, problem).pointer(sinks ? addressOf(context, sinks) : 0);
  launch(launcher, options, problem, {
    file: 'attention-wgmma',
    name: 'attention_wgmma',
    heads,
    sharedBytes: forwardBytes,
  });
}

/** delta (heads, rows) = Σ dOut · out, which both kernels of the backward read. */
export function wgmmaDelta(
  context: CudaContext,
  { out, dOut, heads }: AttentionBackwardOptions,
  problem: AttentionProblem,
  delta: number,
): void {
  context.launcher
    .begin()
    .pointer(addressOf(context, out))
    .pointer(addressOf(context, dOut))
    .pointer(delta)
    .int32(problem.rows)
    .int32(heads)
    .launch(unitOf('attention-wgmma-backward', problem), 'attention_delta_wgmma', {
      grid: [Math.ceil((problem.rows * heads) / 8)],
      block: 256,
    });
}

/** Addresses of float32 parts of dK and dV, (rows, heads 128) each. */
interface WgmmaParts {
  readonly k: number;
  readonly v: number;
}

/** @param parts null where a block sums all heads of a key head itself, into dK and dV. */
export function wgmmaKeys(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  { delta, parts }: { readonly delta: number; readonly parts: WgmmaParts | null },
): void {
  const { dK, dV, heads, kvHeads } = options;
  beginBackward(context, options, problem, { delta, queryRows: queryStepRows, keyRows: ownRows })
    .pointer(addressOf(context, dK))
    .pointer(addressOf(context, dV))
    .pointer(parts?.k ?? 0)
    .pointer(parts?.v ?? 0)
    .int32(parts ? 1 : heads / kvHeads);
  launch(context.launcher, options, problem, {
    file: 'attention-wgmma-backward',
    name: 'attention_keys_wgmma',
    heads: parts ? heads : kvHeads,
    sharedBytes: keysBytes,
  });
}

export function wgmmaQueries(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  delta: number,
): void {
  beginBackward(context, options, problem, {
    delta,
    queryRows: ownRows,
    keyRows: stepRows,
  }).pointer(addressOf(context, options.dQ));
  launch(context.launcher, options, problem, {
    file: 'attention-wgmma-backward',
    name: 'attention_queries_wgmma',
    heads: options.heads,
    sharedBytes: queriesBytes,
  });
}

/** The parameters that both kernels of the backward start with. */
function beginBackward(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  {
    delta,
    queryRows,
    keyRows,
  }: { readonly delta: number; readonly queryRows: number; readonly keyRows: number },
): Launcher {
  const { q, k, v, dOut, logSumExp } = options;
  context.launcher.begin();
  map(context, problem, q, queryRows);
  for (const tensor of [k, v]) map(context, problem, tensor, keyRows);
  map(context, problem, dOut, queryRows);
  context.launcher.pointer(addressOf(context, logSumExp)).pointer(delta);
  return scalars(context, options, problem);
}

function map(
  context: CudaContext,
  { rows }: AttentionProblem,
  tensor: Tensor,
  tileRows: number,
): void {
  context.launcher.tensorMap({
    address: addressOf(context, tensor),
    rows,
    columns: tensor.size / rows,
    tileRows,
    tileColumns: 64,
  });
}

function scalars(
  context: CudaContext,
  { sequences, heads, kvHeads, scale }: AttentionOptions,
  { rows, window }: AttentionProblem,
): Launcher {
  return context.launcher
    .pointer(addressOf(context, sequences.deviceOffsets))
    .int32(rows)
    .int32(heads)
    .int32(kvHeads)
    .float32(scale)
    .int32(window);
}

function launch(
  launcher: Launcher,
  { sequences }: AttentionOptions,
  problem: AttentionProblem,
  {
    file,
    name,
    heads,
    sharedBytes,
  }: {
    readonly file: string;
    readonly name: string;
    readonly heads: number;
    readonly sharedBytes: number;
  },
): void {
  launcher.launch(unitOf(file, problem), name, {
    grid: [Math.ceil(sequences.maxLength / ownRows), heads, sequences.offsets.length - 1],
    block: threads,
    sharedBytes,
  });
}
