import type { KernelName, KernelRate } from '@emloc/device';

import { cardRates } from './card-rates.js';
import { cardSheets, type CardSheet } from './card-sheets.js';

type Peaks = Parameters<typeof cardRates>[0];

const h200: Peaks = {
  flopsPerSecond: 989e12,
  float64FlopsPerSecond: 34e12,
  bytesPerSecond: 4.8e12,
  linkBytesPerSecond: 63e9,
};

interface Launches {
  readonly kernel: KernelName;
  readonly calls: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Milliseconds of launches on a card, none overlapping. */
function msOf({ kernel, calls, flops, bytes }: Launches, peaks: Peaks): number {
  const { kernels, otherwise } = cardRates(peaks);
  const { [kernel]: rate = otherwise } = kernels as Partial<Record<KernelName, KernelRate>>;
  const { secondsPerFlop, secondsPerByte, secondsPerCall } = rate;
  return 1e3 * (flops * secondsPerFlop + bytes * secondsPerByte + calls * secondsPerCall);
}

const step = { kernel: 'gemm', calls: 801, flops: 26.2e12, bytes: 58e9 } as const;

describe('the rates of a card', () => {
  it.each([
    ['the products of a step', step, 42.1],
    ['attention', { kernel: 'attention', calls: 84, flops: 1.5e12, bytes: 3e8 }, 13.6],
    ['SwiGLU, norms and sums', { kernel: 'add', calls: 1000, flops: 0, bytes: 43.8e9 }, 16.7],
    [
      'an eigenproblem',
      { kernel: 'eigh', calls: 1, flops: 9 * 3584 ** 3, bytes: 16 * 3584 ** 2 },
      82,
    ],
  ] as const)('are those that an H200 was measured at: %s', (_name, launches, measuredMs) => {
    const ratio = msOf(launches, h200) / measuredMs;
    expect([ratio > 0.9, ratio < 1.1]).toEqual([true, true]);
  });

  it('copy at the share of the link that copies reach', () => {
    expect(1e-9 / cardRates(h200).uploadSecondsPerByte).toBeCloseTo(50, 0);
    expect(cardRates(h200).downloadSecondsPerByte).toBe(cardRates(h200).uploadSecondsPerByte);
  });

  it('count products in float64 at the rate that the card has there', () => {
    const { gemm } = cardRates(cardSheets.rtx4090).kernels;
    expect(gemm.secondsPerFloat64Flop / gemm.secondsPerFlop).toBeCloseTo(165.2 / 1.29);
  });

  it.each<keyof Peaks>([
    'flopsPerSecond',
    'float64FlopsPerSecond',
    'bytesPerSecond',
    'linkBytesPerSecond',
  ])('are better for a better %s', (figure) => {
    const costs = (peaks: Peaks): number => {
      const { kernels, otherwise, uploadSecondsPerByte } = cardRates(peaks);
      const perFlop = kernels.attention.secondsPerFlop + kernels.gemm.secondsPerFloat64Flop;
      return perFlop + otherwise.secondsPerFlop + otherwise.secondsPerByte + uploadSecondsPerByte;
    };
    expect(costs({ ...h200, [figure]: 2 * h200[figure] })).toBeLessThan(costs(h200));
  });
});

describe('data sheets', () => {
  const sheets = Object.entries<CardSheet>(cardSheets);

  it.each(sheets)('%s: rates in their order, memory as a driver may report it', (_name, sheet) => {
    const { flopsPerSecond, float64FlopsPerSecond, bytesPerSecond, linkBytesPerSecond } = sheet;
    expect(flopsPerSecond / float64FlopsPerSecond).toBeGreaterThan(10);
    expect(flopsPerSecond).toBeGreaterThan(50 * bytesPerSecond);
    expect(bytesPerSecond).toBeGreaterThan(5 * linkBytesPerSecond);
    expect(sheet.reportedBytes).toBeLessThanOrEqual(sheet.memoryBytes);
    expect(sheet.reportedBytes).toBeGreaterThan(0.9 * sheet.memoryBytes);
  });
});
