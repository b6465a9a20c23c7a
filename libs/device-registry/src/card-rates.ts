import { roughRates, type DeviceRates } from '@emloc/device';

import type { CardSheet } from './card-sheets.js';

/**
 * What this device's kernels reach of an H200's peaks (989 TFLOP/s, 34 in float64, 4.8 TB/s, 63
 * GB/s), from docs/inside/performance.md; taken to hold for every card. Products and streams are
 * what their time leaves after their launches, products also after the traffic that counts.
 */
const reachedShares = Object.freeze({
  /** 26.2 TFLOP in 801 products, 58 GB: 44.5 ms, which is 590 TFLOP/s with all of it. */
  products: 0.87,
  /** 1.5 TFLOP in 13.6 ms. */
  attention: 0.115,
  /** An eigenproblem of order 3584, 9 n³ operations: 82 ms. */
  factorization: 0.15,
  /** 43.8 GB in 1,000 launches: 19.7 ms. */
  streams: 0.72,
  /** 50 GB/s from page-locked memory. */
  copies: 0.79,
});

/** Of a product's traffic, what does not go on beside its arithmetic. */
const countedTraffic = 0.5;

/** A step of 16 tokens: 1,750 launches as one take 11.1 ms, 3.9 of them for reading weights. */
const secondsPerLaunch = 4e-6;

/**
 * How fast a card would be: its peaks times the shares of an H200's that were measured. A kernel
 * takes the sum of its arithmetic, its traffic and its launch.
 */
export function cardRates(sheet: Omit<CardSheet, 'product' | 'memoryBytes' | 'reportedBytes'>) {
  const productFlops = sheet.flopsPerSecond * reachedShares.products;
  const rates = roughRates({
    flopsPerSecond: productFlops,
    factorizationFlopsPerSecond: sheet.float64FlopsPerSecond * reachedShares.factorization,
    bytesPerSecond: sheet.bytesPerSecond * reachedShares.streams,
    copyBytesPerSecond: sheet.linkBytesPerSecond * reachedShares.copies,
    secondsPerLaunch,
  });
  const attention = {
    ...rates.otherwise,
    secondsPerFlop: 1 / (sheet.flopsPerSecond * reachedShares.attention),
  };
  const product = {
    ...rates.otherwise,
    secondsPerByte: rates.otherwise.secondsPerByte * countedTraffic,
    secondsPerFloat64Flop: 1 / (sheet.float64FlopsPerSecond * reachedShares.products),
  };
  const kernels = {
    ...rates.kernels,
    ...{ gemm: product, gram: product },
    ...{ attention, attentionBackward: attention },
  };
  return { ...rates, kernels } satisfies DeviceRates;
}
