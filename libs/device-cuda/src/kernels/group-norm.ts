import { assertDivides, type GroupNormOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  rowsAndColumns,
  withScratch,
  type CudaContext,
} from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

/** CHUNK_ROWS of group-norm.cu, SUM_COLUMNS and SUM_LANES of sequences.cuh. */
const chunkRows = 512;
const sumColumns = 32;
const sumLanes = 16;
const pairBytes = 8;

type Dimensions = Pick<GroupNormOptions, 'x' | 'sequences'>;

/** Chunks of the longest sequence. */
function chunksOf({ sequences }: Dimensions): number {
  return Math.ceil(sequences.maxLength / chunkRows);
}

function momentBytes(options: Dimensions): number {
  const { x, sequences } = options;
  return roundUp((sequences.offsets.length - 1) * chunksOf(options) * x.dim(-1) * pairBytes);
}

/** Scratch bytes: two float32 a column of every chunk, and of every sequence. */
export function groupNormScratchBytes(options: GroupNormOptions): number {
  const { x, sequences } = options;
  if (x.size === 0) return 0;
  return momentBytes(options) + roundUp((sequences.offsets.length - 1) * x.dim(-1) * pairBytes);
}

export function groupNorm(context: CudaContext, options: GroupNormOptions): void {
  const { x, groups, weight, bias, sequences, out } = options;
  const [, columns] = rowsAndColumns('groupNorm', x);
  assertDivides('cuda: groupNorm', { name: 'groups', count: groups }, x);
  expectShape('groupNorm', out, x.shape);
  for (const tensor of [weight, bias]) expectShape('groupNorm', tensor, [columns]);
  expectShape('groupNorm', sequences.deviceOffsets, [sequences.offsets.length]);
  expectDType('groupNorm', ['int32'], sequences.deviceOffsets);
  const dtypes = ['float32', 'bfloat16'] as const;
  const dtype = expectDType('groupNorm', dtypes, x, weight, bias, out);
  if (x.size === 0) return;
  withScratch(context, groupNormScratchBytes(options), (moments) => {
    const factors = moments + momentBytes(options);
    launchMoments(context, options, dtype, moments);
    launchFactors(context, options, dtype, { moments, factors });
    launchResult(context, options, dtype, factors);
  });
}

type Floating = 'float32' | 'bfloat16';

function launchMoments(
  context: CudaContext,
  options: GroupNormOptions,
  dtype: Floating,
  moments: number,
): void {
  const { x, sequences } = options;
  const [columns, chunks] = [x.dim(-1), chunksOf(options)];
  context.launcher
    .begin()
    .pointer(addressOf(context, x))
    .pointer(addressOf(context, sequences.deviceOffsets))
    .pointer(moments)
    .int32(chunks)
    .int32(columns)
    .launch('group-norm', `column_moments_${dtype}`, {
      grid: [Math.ceil(columns / sumColumns), chunks, sequences.offsets.length - 1],
      block: sumColumns * sumLanes,
    });
}

function launchFactors(
  context: CudaContext,
  options: GroupNormOptions,
  dtype: Floating,
  { moments, factors }: { readonly moments: number; readonly factors: number },
): void {
  const { x, groups, weight, epsilon, sequences } = options;
  context.launcher
    .begin()
    .pointer(moments)
    .pointer(addressOf(context, weight))
    .pointer(addressOf(context, sequences.deviceOffsets))
    .pointer(factors)
    .int32(chunksOf(options))
    .int32(x.dim(-1))
    .int32(groups)
    .float32(epsilon)
    .launch('group-norm', `group_factors_${dtype}`, {
      grid: [groups, sequences.offsets.length - 1],
      block: 256,
    });
}

function launchResult(
  context: CudaContext,
  { x, bias, sequences, activation, out }: GroupNormOptions,
  dtype: Floating,
  factors: number,
): void {
  const [source, terms, target] = [x, bias, out].map((tensor) => addressOf(context, tensor)) as [
    number,
    number,
    number,
  ];
  const isWideHere = isWide(x.dim(-1), wideCount(dtype), source, terms, target);
  const width = isWideHere ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(factors)
    .pointer(terms)
    .pointer(addressOf(context, sequences.deviceOffsets))
    .pointer(target)
    .int32(x.size / width)
    .int32(sequences.offsets.length - 1)
    .int32(x.dim(-1))
    .int32(activation === 'silu' ? 1 : 0)
    .launch(
      'group-norm',
      `group_norm_${dtype}${isWideHere ? '_wide' : ''}`,
      shapeFor(x.size, width),
    );
}
