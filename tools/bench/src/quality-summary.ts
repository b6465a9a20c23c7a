import { at } from '@emloc/checked';

import type { QualityVariant } from './quality-variants.js';

/** Scores on the test rows. */
export interface QualityScore {
  /** Σ NLL / Σ trained-on tokens. */
  readonly loss: number;
  /** Share of rows, 0 to 1. */
  readonly exactMatch: number;
}

/** What one variant gave for one seed. */
export interface QualityRun extends QualityScore {
  readonly seed: number;
  readonly tuneSeconds: number;
  readonly peakDeviceBytes: number;
  /** The correction that was chosen; null at ratio 1. */
  readonly correction: string | null;
}

/** One variant over all seeds. */
export interface QualityRow extends QualityScore {
  readonly name: string;
  /**
   * Mean over the seeds of `(base - loss) / (base - full LoRA's loss)`; null where full LoRA did
   * not gain.
   */
  readonly share: number | null;
  /** Lowest and highest share of a seed. */
  readonly range: readonly [number, number] | null;
  readonly target: number | null;
  readonly isMet: boolean | null;
  readonly runs: readonly QualityRun[];
}

/**
 * @param runs by variant, each with the same seeds in the same order; the first variant is full
 * LoRA
 */
export function summarise(
  base: QualityScore,
  variants: readonly QualityVariant[],
  runs: readonly (readonly QualityRun[])[],
): QualityRow[] {
  const reference = at(runs, 0);
  return variants.map(({ name, target }, index) => {
    const own = at(runs, index);
    const shares = own.map(
      ({ loss }, seed) => (base.loss - loss) / (base.loss - (at(reference, seed).loss ?? NaN)),
    );
    const isGain = reference.every(({ loss }) => loss < base.loss) && shares.length > 0;
    const share = isGain ? mean(shares) : null;
    return {
      name,
      target,
      share,
      loss: mean(own.map(({ loss }) => loss)),
      exactMatch: mean(own.map(({ exactMatch }) => exactMatch)),
      range: isGain ? ([Math.min(...shares), Math.max(...shares)] as const) : null,
      isMet: target === null || share === null ? null : share >= target,
      runs: own,
    };
  });
}

/** A Markdown table, base first. */
export function qualityTable(base: QualityScore, rows: readonly QualityRow[]): string {
  const lines = rows.map(({ name, loss, exactMatch, share, range, target, isMet }) => [
    name,
    loss.toFixed(4),
    percent(exactMatch),
    share === null ? '-' : percent(share),
    range === null ? '-' : `${percent(range[0])} to ${percent(range[1])}`,
    target === null
      ? '-'
      : `${percent(target)}${isMet === null ? '' : isMet ? ', met' : ', missed'}`,
  ]);
  return [
    ['model', 'test loss', 'exact match', "share of full LoRA's gain", 'over the seeds', 'target'],
    ['---', '---:', '---:', '---:', '---:', '---:'],
    ['base', base.loss.toFixed(4), percent(base.exactMatch), '-', '-', '-'],
    ...lines,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
