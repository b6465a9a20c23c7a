/** One of our figures. */
export interface GpuRow {
  readonly name: 'train' | 'short' | 'varied' | 'paged' | 'factors' | 'generate' | 'sample';
  /** Default: that of the name, at the default shape. */
  readonly title?: string;
  /** Pixels of an image's side; its rivals have the same. */
  readonly size?: number;
  readonly tokensPerSecond?: number;
  readonly seconds?: number;
  readonly peakBytes: number;
  readonly detail: string;
}

/** One of bench_torch.py's figures. `error` where it did not run (out of memory, say). */
export interface TorchRow {
  /** Which of our rows it is a rival of. */
  readonly rival: GpuRow['name'];
  readonly size?: number;
  readonly name: string;
  readonly tokensPerSecond?: number;
  readonly seconds?: number;
  readonly peakBytes?: number;
  readonly error?: string;
}

const titles: Readonly<Record<GpuRow['name'], string>> = {
  train: 'LoRA on an emulator of ratio 0.4, 2 x 1024 tokens',
  short: 'LoRA on an emulator of ratio 0.4, a step of 16 tokens',
  varied: 'LoRA on an emulator, 8 texts of varied lengths a step',
  paged: 'LoRA on the full model, its blocks paged',
  factors: 'from statistics to factors, a block',
  generate: 'greedy answers, tokens after the first',
  sample: 'one forward of sampling',
};

/**
 * A Markdown table: each of our rows, then its rivals with the ratio of ours to theirs (above 1:
 * ours is faster).
 */
export function gpuTable(rows: readonly GpuRow[], torch: readonly TorchRow[]): string {
  const lines = rows.flatMap((row) => [
    cells([
      `**${row.title ?? titles[row.name]}** (${row.detail})`,
      figureOf(row),
      gibibytes(row.peakBytes),
      '',
    ]),
    ...torch
      .filter(({ rival, size }) => rival === row.name && size === row.size)
      .map((other) =>
        cells([
          `PyTorch: ${other.name}`,
          other.error ?? figureOf(other),
          gibibytes(other.peakBytes),
          ratioOf(row, other),
        ]),
      ),
  ]);
  return `${[cells(['what', 'figure', 'peak GiB', 'ours is faster by']), '| --- | --- | --- | --- |', ...lines].join('\n')}\n`;
}

function ratioOf(ours: GpuRow, theirs: TorchRow): string {
  if (ours.tokensPerSecond && theirs.tokensPerSecond)
    return (ours.tokensPerSecond / theirs.tokensPerSecond).toFixed(2);
  return ours.seconds && theirs.seconds ? (theirs.seconds / ours.seconds).toFixed(2) : '';
}

function figureOf({ tokensPerSecond, seconds, size }: GpuRow | TorchRow): string {
  if (size !== undefined && seconds !== undefined) return `${(seconds * 1000).toFixed(1)} ms`;
  if (tokensPerSecond !== undefined)
    return `${Math.round(tokensPerSecond).toLocaleString('en-US')} tokens/s`;
  if (seconds === undefined) return '';
  return seconds < 0.1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

function gibibytes(bytes: number | undefined): string {
  return bytes === undefined ? '' : (bytes / 2 ** 30).toFixed(2);
}

function cells(values: readonly string[]): string {
  return `| ${values.join(' | ')} |`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower = Number.NaN, upper = Number.NaN] = [
    sorted[(sorted.length - 1) >> 1],
    sorted[sorted.length >> 1],
  ];
  return (lower + upper) / 2;
}
