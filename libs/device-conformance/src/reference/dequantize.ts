import { at } from '@emloc/checked';
import type { QuantizedFormat } from '@emloc/device';

/** Φ(x) of the standard normal distribution, by the series of its odd powers. */
function normalProbability(x: number): number {
  let [term, sum] = [x, x];
  for (let k = 1; k < 200; k += 1) {
    term *= (-x * x) / (2 * k);
    sum += term / (2 * k + 1);
  }
  return 0.5 + sum / Math.sqrt(2 * Math.PI);
}

function normalQuantile(probability: number): number {
  let [low, high] = [0, 4];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (normalProbability(middle) < probability) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The values of QLoRA's appendix E (arXiv 2305.14314), as its code has them: quantiles of the
 * standard normal distribution at probabilities evenly spaced from 0.9677083 to 0.5, eight above 0,
 * seven below it, and 0 itself, over the largest.
 */
export function normalQuantiles(): number[] {
  const outermost = 0.9677083;
  const side = (count: number): number[] =>
    Array.from({ length: count }, (_, i) =>
      normalQuantile(outermost + ((0.5 - outermost) * i) / count),
    );
  const [below, above] = [side(7), side(8)];
  const largest = at(below, 0);
  return [...below.map((value) => -value), 0, ...above.reverse()].map((value) => value / largest);
}

/** The numbers that codes stand for, with one scale for each 64. */
export function dequantize(
  codes: readonly number[],
  scales: readonly number[],
  format: QuantizedFormat,
): number[] {
  const quantiles = normalQuantiles();
  return codes.map((code, i) => {
    const scale = at(scales, Math.floor(i / 64));
    return scale * (format === 'int8' ? code : at(quantiles, code));
  });
}

/** 32-bit words: codes from the lowest bits on, then the bits of the scales in float32. */
export function packed(
  codes: readonly number[],
  scales: readonly number[],
  format: QuantizedFormat,
): number[] {
  const bits = format === 'int8' ? 8 : 4;
  const perWord = 32 / bits;
  const words = new Int32Array(Math.ceil(codes.length / perWord));
  codes.forEach((code, i) => {
    const word = Math.floor(i / perWord);
    words[word] = at(words, word) | ((code & (2 ** bits - 1)) << (bits * (i % perWord)));
  });
  return [...words, ...new Int32Array(Float32Array.from(scales).buffer)];
}
