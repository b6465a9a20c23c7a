import type {
  CausalConvolutionBackwardOptions,
  CausalConvolutionOptions,
  SequenceLayout,
  Tensor,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import type { LaunchShape } from '../launcher.js';
import { isWide, wideCount } from '../wide.js';
import { expectAtMost } from './attention-plan.js';

/** STRIP of causal-convolution.cu. */
const stripRows = 16;
const threads = 128;
/** What the rows that a thread keeps leave registers for. */
const maximumTaps = 8;

interface ConvolutionProblem {
  readonly rows: number;
  readonly channels: number;
  readonly taps: number;
  readonly dtype: 'float32' | 'bfloat16';
  readonly unit: string;
  readonly sequences: number;
}

export function causalConvolution(context: CudaContext, options: CausalConvolutionOptions): void {
  const { x, weight, sequences, initialRows, finalRows, out } = options;
  const borders = [initialRows, finalRows].filter((tensor) => tensor !== undefined);
  const problem = inspect('causalConvolution', { x, weight, sequences }, [out], borders);
  const [source, taps, initial, target] = [x, weight, initialRows, out].map((tensor) =>
    tensor ? addressOf(context, tensor) : 0,
  ) as [number, number, number, number];
  const { suffix, shape } = shapeOf(problem, source, taps, initial, target);
  context.launcher
    .begin()
    .pointer(source)
    .pointer(taps)
    .pointer(addressOf(context, sequences.deviceOffsets))
    .pointer(initial)
    .pointer(target)
    .int32(problem.rows)
    .int32(problem.sequences)
    .int32(problem.channels)
    .launch(problem.unit, `causal_convolution_${suffix}`, shape);
  // Afterwards: the final rows may take the place of the initial ones.
  if (finalRows) launchRows(context, options, problem, finalRows);
}

export function causalConvolutionBackward(
  context: CudaContext,
  { dOut, x, weight, sequences, dX, accumulate }: CausalConvolutionBackwardOptions,
): void {
  const operands = { x, weight, sequences };
  const problem = inspect('causalConvolutionBackward', operands, [dOut, dX], []);
  const addresses = [dOut, x, weight, sequences.deviceOffsets, dX].map((tensor) =>
    addressOf(context, tensor),
  ) as [number, number, number, number, number];
  const { suffix, shape } = shapeOf(
    problem,
    addresses[0],
    addresses[1],
    addresses[2],
    addresses[4],
  );
  const { launcher } = context;
  launcher.begin();
  for (const address of addresses) launcher.pointer(address);
  launcher
    .int32(problem.rows)
    .int32(problem.sequences)
    .int32(problem.channels)
    .int32(accumulate ? 1 : 0)
    .launch(problem.unit, `causal_convolution_backward_${suffix}`, shape);
}

function inspect(
  operation: string,
  { x, weight, sequences }: { x: Tensor; weight: Tensor; sequences: SequenceLayout },
  like: readonly Tensor[],
  borders: readonly Tensor[],
): ConvolutionProblem {
  const [rows, channels] = rowsAndColumns(operation, x);
  const taps = weight.dim(-1);
  const count = sequences.offsets.length - 1;
  expectAtMost(operation, 'taps', taps, maximumTaps);
  expectShape(operation, weight, [channels, taps]);
  for (const tensor of like) expectShape(operation, tensor, [rows, channels]);
  for (const tensor of borders) expectShape(operation, tensor, [count, taps - 1, channels]);
  expectShape(operation, sequences.deviceOffsets, [count + 1]);
  expectDType(operation, ['int32'], sequences.deviceOffsets);
  const dtypes = ['float32', 'bfloat16'] as const;
  const dtype = expectDType(operation, dtypes, x, weight, ...like, ...borders);
  const unit = `causal-convolution:TAPS=${taps}`;
  return { rows, channels, taps, dtype, unit, sequences: count };
}

/** The form that the addresses of rows and weights allow, and its blocks. */
function shapeOf(
  { rows, channels, dtype }: ConvolutionProblem,
  ...addresses: readonly number[]
): { readonly suffix: string; readonly shape: LaunchShape } {
  const width = isWide(channels, wideCount(dtype), ...addresses) ? wideCount(dtype) : 1;
  return {
    suffix: `${dtype}${width > 1 ? '_wide' : ''}`,
    shape: {
      grid: [Math.ceil(rows / stripRows), Math.ceil(channels / width / threads)],
      block: threads,
    },
  };
}

function launchRows(
  context: CudaContext,
  { x, sequences, initialRows }: CausalConvolutionOptions,
  { channels, dtype, unit, sequences: count }: ConvolutionProblem,
  finalRows: Tensor,
): void {
  context.launcher
    .begin()
    .pointer(addressOf(context, x))
    .pointer(addressOf(context, sequences.deviceOffsets))
    .pointer(initialRows ? addressOf(context, initialRows) : 0)
    .pointer(addressOf(context, finalRows))
    .int32(channels)
    .launch(unit, `causal_convolution_rows_${dtype}`, {
      grid: [Math.ceil(channels / threads), count],
      block: threads,
    });
}
