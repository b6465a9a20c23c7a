import { at, get } from '@emloc/checked';

import {
  linkName,
  passesOf,
  secondsAt,
  tokenPassesOf,
  type JobWork,
  type LinkTimes,
} from './quality-meter.js';

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
  /** Of the whole job as it was run, validations included. */
  readonly tuneSeconds: number;
  /** By the links that jobs were timed over. null: not all of its kinds were timed there. */
  readonly seconds: readonly (number | null)[];
}

interface SummaryInputs {
  /** See tokenPassesOf. */
  readonly headShare: number;
  readonly times: readonly LinkTimes[];
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
  const plain = runs.filter(({ work }) =>
    work.steps.every(({ ratio, stage }) => ratio === 1 && stage === 'train'),
  );
  const most = plain.reduce((steps, run) => Math.max(steps, run.steps), 0);
  return new Map(plain.filter(({ steps }) => steps === most).map((run) => [run.seed, run]));
}

function rowOf(
  base: QualityScore,
  runs: readonly NamedRun[],
  { headShare, times, references }: SummaryInputs & { references: ReadonlyMap<number, NamedRun> },
): QualityRow {
  const { name, steps, target } = at(runs, 0);
  const isCompared = runs.every(
    ({ seed }) => (references.get(seed)?.loss ?? base.loss) < base.loss,
  );
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
    tuneSeconds: mean(runs.map(({ tuneSeconds }) => tuneSeconds)),
    seconds: times.map((each) => meanOrNull(runs.map(({ work }) => secondsAt(work, each)))),
  };
}

/** A Markdown table, base first. @param times those of the rows' seconds */
export function qualityTable(
  base: QualityScore,
  rows: readonly QualityRow[],
  times: readonly LinkTimes[] = [],
): string {
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
      row.tuneSeconds.toFixed(0),
      ...row.seconds.map((seconds) => (seconds === null ? '-' : seconds.toFixed(1))),
    ];
  });
  const head = [
    ...[
      'model',
      'test loss',
      'exact match',
      "share of full LoRA's gain",
      'over the seeds',
      'target',
    ],
    ...['passes', 'arithmetic', 'seconds here'],
    ...times.map(({ linkGbps }) => `seconds, ${linkName(linkGbps)}`),
  ];
  const scores = ['base', base.loss.toFixed(4), percent(base.exactMatch)];
  return [
    head,
    head.map((_, index) => (index === 0 ? '---' : '---:')),
    [...scores, ...head.slice(scores.length).map(() => '-')],
    ...lines,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function meanOrNull(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === values.length ? mean(known) : null;
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(1)} %`;
}
