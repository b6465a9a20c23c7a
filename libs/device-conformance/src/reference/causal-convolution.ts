import { at } from '@emloc/checked';

import { activate } from './activation.js';

/** silu of each channel's causal convolution within sequences of these lengths. */
export function causalConvolution(
  x: Float64Array,
  weight: Float64Array,
  {
    taps,
    lengths,
    initialRows,
  }: { taps: number; lengths: readonly number[]; initialRows?: Float64Array },
): Float64Array {
  const channels = weight.length / taps;
  const out = new Float64Array(x.length);
  let start = 0;
  for (const [sequence, length] of lengths.entries()) {
    const before = sequence * (taps - 1);
    const read = (row: number, channel: number): number => {
      if (row >= 0) return x[(start + row) * channels + channel] as number;
      if (!initialRows) return 0;
      return at(initialRows, (before + taps - 1 + row) * channels + channel);
    };
    for (let row = 0; row < length; row += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let tap = 0; tap < taps; tap += 1)
          sum += (weight[channel * taps + tap] as number) * read(row - (taps - 1) + tap, channel);
        out[(start + row) * channels + channel] = activate(sum, 'silu');
      }
    }
    start += length;
  }
  return out;
}
