import { at } from '@emloc/checked';
import type {
  CausalConvolutionBackwardOptions,
  CausalConvolutionOptions,
  KernelName,
  SequenceLayout,
  Tensor,
} from '@emloc/device';

import { activationCodes, chunkBytes, chunkElements, paddedCount } from '../activations.js';
import { assertSequences, assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';

/** Channels of a sequence that go through the WebAssembly memory at once. */
interface Strip {
  readonly from: number;
  readonly count: number;
  readonly channels: number;
  readonly taps: number;
  /** Rows of the sequence. */
  readonly start: number;
  readonly end: number;
  /** (taps − 1, channels): the rows before the first; null for zeros. */
  readonly before: Float32Array | null;
}

export function causalConvolution(context: CpuContext, options: CausalConvolutionOptions): void {
  const { x, weight, sequences, initialRows, finalRows, out } = options;
  const sizes = check('causalConvolution', { x, weight, sequences, others: [out] });
  for (const tensor of [initialRows, finalRows])
    if (tensor) assertShape('causalConvolution', tensor, borderShape(sizes));
  const [input, taps, output] = [float32(x), byTap(weight), float32(out)];
  const address = context.scratch.take(chunkBytes(sizes.channels));
  const sums = context.scratch.float32(address, chunkBytes(sizes.channels) / 4);
  for (const strip of strips(sizes, sequences, initialRows)) {
    for (let row = strip.start; row < strip.end; row += 1) {
      sumTaps({ input, taps, sums }, strip, row);
      context.wasm.activationForward(activationCodes.silu, address, paddedCount(strip.count));
      output.set(sums.subarray(0, strip.count), row * strip.channels + strip.from);
    }
  }
  if (finalRows) writeBorder(input, sequences.offsets, sizes, float32(finalRows), initialRows);
}

/** Rows from the last to the first, the slopes of the next taps − 1 at hand. */
export function causalConvolutionBackward(
  context: CpuContext,
  { dOut, x, weight, sequences, dX, accumulate = false }: CausalConvolutionBackwardOptions,
): void {
  const sizes = check('causalConvolutionBackward', { x, weight, sequences, others: [dOut, dX] });
  const [input, taps, gradient, output] = [float32(x), byTap(weight), float32(dOut), float32(dX)];
  const bytes = chunkBytes(sizes.channels);
  const addresses = Array.from({ length: sizes.taps + 1 }, () => context.scratch.take(bytes));
  const [sums, ...slopes] = addresses.map((address) =>
    context.scratch.float32(address, bytes / 4),
  ) as [Float32Array, ...Float32Array[]];
  for (const strip of strips(sizes, sequences)) {
    for (let row = strip.end - 1; row >= strip.start; row -= 1) {
      sumTaps({ input, taps, sums }, strip, row);
      const start = row * strip.channels + strip.from;
      const place = row % sizes.taps;
      at(slopes, place).set(gradient.subarray(start, start + strip.count));
      context.wasm.activationBackward(
        activationCodes.silu,
        addresses[place + 1] as number,
        addresses[0] as number,
        paddedCount(strip.count),
      );
      pullBackTaps({ slopes, taps, output, accumulate }, strip, row);
    }
  }
}

interface Sizes {
  readonly rows: number;
  readonly channels: number;
  readonly taps: number;
  readonly sequences: number;
}

function check(
  kernel: KernelName,
  {
    x,
    weight,
    sequences,
    others,
  }: { x: Tensor; weight: Tensor; sequences: SequenceLayout; others: readonly Tensor[] },
): Sizes {
  const [[rows, channels], [, taps]] = [matrix(kernel, x), matrix(kernel, weight)];
  assertShape(kernel, weight, [channels, taps]);
  for (const tensor of others) assertShape(kernel, tensor, x.shape);
  assertSequences(kernel, sequences, rows);
  return { rows, channels, taps, sequences: sequences.offsets.length - 1 };
}

function borderShape({ sequences, taps, channels }: Sizes): readonly number[] {
  return [sequences, taps - 1, channels];
}

/** (taps, channels) of (channels, taps). */
function byTap(weight: Tensor): Float32Array {
  const [values, channels, taps] = [float32(weight), weight.dim(0), weight.dim(1)];
  return Float32Array.from(
    values,
    (_, i) => values[(i % channels) * taps + Math.floor(i / channels)] as number,
  );
}

function* strips(
  { channels, taps }: Sizes,
  { offsets }: SequenceLayout,
  initialRows?: Tensor,
): Generator<Strip> {
  const borders = initialRows ? float32(initialRows) : null;
  const border = (taps - 1) * channels;
  for (let s = 1; s < offsets.length; s += 1) {
    const [start, end] = [offsets[s - 1] as number, offsets[s] as number];
    const before = borders && borders.subarray((s - 1) * border, s * border);
    for (let from = 0; from < channels; from += chunkElements) {
      const count = Math.min(chunkElements, channels - from);
      yield { from, count, channels, taps, start, end, before };
    }
  }
}

/** sums = Σ_j weight[:, j] ⊙ x[row − (taps − 1) + j], tap by tap. */
function sumTaps(
  { input, taps: weights, sums }: Readonly<Record<'input' | 'taps' | 'sums', Float32Array>>,
  { from, count, channels, taps, start, before }: Strip,
  row: number,
): void {
  sums.fill(0, 0, count);
  for (let tap = 0; tap < taps; tap += 1) {
    const source = row - (taps - 1) + tap;
    if (source < start && !before) continue;
    const values = source < start ? (before as Float32Array) : input;
    const line = source < start ? source - start + taps - 1 : source;
    for (let i = 0, w = tap * channels + from, j = line * channels + from; i < count; i += 1)
      sums[i] = (sums[i] as number) + (weights[w + i] as number) * (values[j + i] as number);
  }
}

/** dX[row] = Σ_j weight[:, j] ⊙ slope[row + (taps − 1) − j] within the sequence. */
function pullBackTaps(
  {
    slopes,
    taps: weights,
    output,
    accumulate,
  }: {
    readonly slopes: readonly Float32Array[];
    readonly taps: Float32Array;
    readonly output: Float32Array;
    readonly accumulate: boolean;
  },
  { from, count, channels, taps, end }: Strip,
  row: number,
): void {
  const place = row * channels + from;
  if (!accumulate) output.fill(0, place, place + count);
  for (let later = 0; later < Math.min(taps, end - row); later += 1) {
    const slope = at(slopes, (row + later) % taps);
    for (let i = 0, w = (taps - 1 - later) * channels + from; i < count; i += 1)
      output[place + i] =
        (output[place + i] as number) + (weights[w + i] as number) * (slope[i] as number);
  }
}

/** The last taps − 1 rows of each sequence and of what came before it. */
function writeBorder(
  input: Float32Array,
  offsets: readonly number[],
  { channels, taps }: Sizes,
  final: Float32Array,
  initialRows?: Tensor,
): void {
  const initial = initialRows ? float32(initialRows) : null;
  for (let s = 1; s < offsets.length; s += 1) {
    const [start, end] = [offsets[s - 1] as number, offsets[s] as number];
    const border = (s - 1) * (taps - 1) * channels;
    // In ascending order: a row comes from its own place or a later one.
    for (let i = 0; i < taps - 1; i += 1) {
      const [source, to] = [end - (taps - 1) + i, border + i * channels];
      const from = border + (source - start + taps - 1) * channels;
      if (source >= start)
        final.set(input.subarray(source * channels, (source + 1) * channels), to);
      else if (initial) final.set(initial.subarray(from, from + channels), to);
      else final.fill(0, to, to + channels);
    }
  }
}
