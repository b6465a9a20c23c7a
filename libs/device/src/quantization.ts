/**
 * How numbers are kept small: in blocks of 64, counted in row-major order over the whole tensor, of
 * codes with one float32 scale; the last block may be shorter.
 *
 * - `int8`: scale = max |x| / 127, code = x / scale to the nearest integer, x' = scale · code.
 * - `nf4` (QLoRA, arXiv 2305.14314, §3 and appendix E): scale = max |x|, code = index of the
 *   nearest of 16 quantiles of the normal distribution to x / scale, x' = scale · quantile. Scales
 *   are not quantised again.
 */
export const quantizedFormats = Object.freeze(['int8', 'nf4'] as const);

export type QuantizedFormat = (typeof quantizedFormats)[number];

/** Numbers that share a scale. */
export const quantizedBlock = 64;

const codeBits: Readonly<Record<QuantizedFormat, number>> = Object.freeze({ int8: 8, nf4: 4 });

/** The values of nf4's codes 0 to 15, as float32 has them: ascending, with an exact 0. */
export const nf4Values: readonly number[] = Object.freeze(
  [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1,
  ].map(Math.fround),
);

/** Where codes and scales of so many numbers are, in 32-bit words. */
export interface QuantizedLayout {
  /**
   * Words of codes, which come first: in each the codes of consecutive numbers from the lowest bits
   * on, int8 in two's complement; behind the last number 0.
   */
  readonly codeWords: number;
  /** Scales, as the bits of float32: one a block. */
  readonly blocks: number;
  /** Of both. */
  readonly words: number;
}

export function quantizedLayout(elements: number, format: QuantizedFormat): QuantizedLayout {
  const codeWords = Math.ceil((elements * codeBits[format]) / 32);
  const blocks = Math.ceil(elements / quantizedBlock);
  return { codeWords, blocks, words: codeWords + blocks };
}

/** Bits that a number takes with its share of a scale, in a whole block: 8.5 and 4.5. */
export function quantizedBits(format: QuantizedFormat): number {
  return codeBits[format] + 32 / quantizedBlock;
}
