import { at } from '@emloc/checked';

/** Wall times of one job, in pairs that were taken one after the other. */
export interface ServeResult {
  readonly replicas: number;
  readonly tuneSeconds: number[];
  readonly serveSeconds: number[];
  /** Whether every adapter was that of `emloc tune`, byte for byte. */
  identical: boolean;
}

/** Asked for: a job on a deployment takes at most so many times what `emloc tune` takes. */
const targetRatio = 1.2;

/** Medians and the median of the pairs' ratios, a line for each number of replicas. */
export function serveTable(results: readonly ServeResult[]): string {
  const header = ['builders', 'tune s', 'serve s', 'ratio', `at most ${targetRatio}`, 'identical'];
  const rows = results.map((result) => [
    String(result.replicas),
    median(result.tuneSeconds).toFixed(1),
    median(result.serveSeconds).toFixed(1),
    ratioOf(result).toFixed(2),
    ratioOf(result) <= targetRatio ? 'yes' : 'NO',
    result.identical ? 'yes' : 'NO',
  ]);
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => at(row, column).length)));
  return `${all.map((row) => row.map((cell, column) => cell.padStart(at(widths, column))).join('  ')).join('\n')}\n`;
}

export function ratioOf({ tuneSeconds, serveSeconds }: ServeResult): number {
  return median(serveSeconds.map((seconds, index) => seconds / at(tuneSeconds, index)));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower = Number.NaN, upper = Number.NaN] = [
    sorted[(sorted.length - 1) >> 1],
    sorted[sorted.length >> 1],
  ];
  return (lower + upper) / 2;
}
