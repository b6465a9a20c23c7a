import { get } from '@emloc/checked';

import { passesOf, secondsAt, tokenPassesOf, type JobWork } from './quality-meter.js';

/** Scores on the test rows. */
export interface QualityScore {
  /** Σ NLL / Σ trained-on tokens. */
  readonly loss: number;
  /** Share of rows, 0 to 1. */
  readonly exactMatch: number;
}

/** What one row gave for one seed. */
export interface QualityRun extends QualityScore {
  readonly seed: number;
  readonly tuneSeconds: number;
  readonly peakDeviceBytes: number;
  /** The correction that was chosen; null at ratio 1. */
  readonly correction: string | null;
  readonly work: JobWork;
}

export interface NamedRun extends QualityRun {
  readonly name: string;
  readonly target: number | null;
  /** Of plain LoRA, as long as which the job is meant to be. */
  readonly steps: number;
}

/** One row of so many steps over all seeds; what is measured in means. */
export interface QualityRow extends QualityScore {
  readonly name: string;
  readonly steps: number;
  /**
   * Mean over the seeds of `(base - loss) / (base - full LoRA's loss)`; null where full LoRA did
   * not gain, or was not run with each of the seeds.
   */
  readonly share: number | null;
  /** Lowest and highest share of a seed. */
  readonly range: readonly [number, number] | null;
  readonly target: number | null;
  readonly isMet: boolean | null;
  /** Passes over the original in training. */
  readonly passes: number;
  /** Arithmetic as a share of full LoRA's; null as for `share`. */
  readonly arithmetic: number | null;
  /** Of the whole job: as it was run, or as other runs were timed. null: its kind was not timed. */
  readonly seconds: number | null;
}

interface SummaryInputs {
  /** See tokenPassesOf. */
  readonly headShare: number;
  /** Jobs of the same rows of which steps and stages are timed; null: jobs take what they took. */
  readonly times: readonly NamedRun[] | null;
}

/** Rows by their name and steps, in the order of their first runs. */
export function summarise(
  base: QualityScore,
  runs: readonly NamedRun[],
  inputs: SummaryInputs,
): QualityRow[] {
  const references = referencesOf(runs);
  return groupsOf(runs).map((own) => rowOf(base, own, { ...inputs, references }));
}

function groupsOf(runs: readonly NamedRun[]): readonly (readonly NamedRun[])[] {
  const groups = new Map<string, NamedRun[]>();
  for (const run of runs) {
    const key = `${run.steps} ${run.name}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()];
}

/** Full LoRA of the most steps, by seed. */
function referencesOf(runs: readonly NamedRun[]): ReadonlyMap<number, NamedRun> {
  const plain = runs.filter(({ work }) => work.steps.every(({ ratio, stage }) => ratio === 1 && stage === 'train'));
  const most = plain.reduce((steps, run) => Math.max(steps, run.steps), 0);
  return new Map(plain.filter(({ steps }) => steps === most).map((run) => [run.seed, run]));
}

function rowOf(
  base: QualityScore,
  runs: readonly NamedRun[],
  { headShare, times, references }: SummaryInputs & { references: ReadonlyMap<number, NamedRun> },
): QualityRow {
  const [{ name, steps, target } = { name: '', steps: 0, target: null }] = runs;
  const isCompared = runs.every(({ seed }) => (references.get(seed)?.loss ?? base.loss) < base.loss);
  const shares = isCompared
    ? runs.map(({ seed, loss }) => (base.loss - loss) / (base.loss - get(references, seed).loss))
    : [];
  const share = isCompared ? mean(shares) : null;
  const tokenPasses = ({ work }: NamedRun): number => tokenPassesOf(work, headShare);
  const arithmetic = (run: NamedRun): number =>
    tokenPasses(run) / tokenPasses(get(references, run.seed));
  return {
    ...{ name, steps, target, share },
    loss: mean(runs.map(({ loss }) => loss)),
    exactMatch: mean(runs.map(({ exactMatch }) => exactMatch)),
    range: isCompared ? ([Math.min(...shares), Math.max(...shares)] as const) : null,
    isMet: target === null || share === null ? null : share >= target,
    passes: mean(runs.map(({ work }) => passesOf(work))),
    arithmetic: isCompared ? mean(runs.map(arithmetic)) : null,
    seconds: secondsOf(runs, times),
  };
}

function secondsOf(
  runs: readonly NamedRun[],
  times: readonly NamedRun[] | null,
): number | null {
  if (!times) return mean(runs.map(({ tuneSeconds }) => tuneSeconds));
  const timed = times.find(({ name }) => name === runs.at(0)?.name);
  return timed ? mean(runs.map(({ work }) => secondsAt(work, timed.work))) : null;
}

/** A Markdown table, base first. */
export function qualityTable(base: QualityScore, rows: readonly QualityRow[]): string {
  const lines = rows.map((row) => {
    const { name, steps, loss, exactMatch, share, range, target, isMet } = row;
    const reached = isMet === null ? '' : isMet ? ', met' : ', missed';
    return [
      `${name}, ${steps} steps`,
      loss.toFixed(4),
      percent(exactMatch),
      percent(share),
      range === null ? '-' : `${percent(range[0])} to ${percent(range[1])}`,
      target === null ? '-' : `${percent(target)}${reached}`,
      row.passes.toFixed(0),
      percent(row.arithmetic),
      row.seconds === null ? '-' : row.seconds.toFixed(1),
    ];
  });
  const head = ['model', 'test loss', 'exact match', "share of full LoRA's gain", 'over the seeds'];
  return [
    [...head, 'target', 'passes', 'arithmetic', 'seconds'],
    ['---', ...Array.from({ length: 8 }, () => '---:')],
    ['base', base.loss.toFixed(4), percent(base.exactMatch), '-', '-', '-', '-', '-', '-'],
    ...lines,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(1)} %`;
}
