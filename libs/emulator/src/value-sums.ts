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

/** total + tr((G − 2 I) C) of symmetric (n, n), summed in the order of their elements. */
export function withDefect(
  total: number,
  { gram, kept, n }: { gram: StatisticValues; kept: StatisticValues; n: number },
): number {
  let sum = total;
  let diagonal = 0;
  for (let i = 0; i < kept.length; i += 1) {
    let defect = gram[i] as number;
    if (i === diagonal) {
      defect -= 2;
      diagonal += n + 1;
    }
    sum += defect * (kept[i] as number);
  }
  return sum;
}
