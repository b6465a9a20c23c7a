import type { StatisticValues } from './statistics.js';

export function sumOf(values: StatisticValues): number {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) sum += values[index] as number;
  return sum;
}

/** The trace of a matrix (n, n). */
export function traceOf(matrix: StatisticValues, n: number): number {
  let trace = 0;
  for (let i = 0; i < n; i += 1) trace += matrix[i * n + i] as number;
  return trace;
}
