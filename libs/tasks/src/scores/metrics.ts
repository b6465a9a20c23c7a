import { anls } from './anls.js';
import { assertGoldsAreOptions, choiceAccuracy } from './choice.js';
import { ScoreError } from './errors.js';
import { mean, meanOfGroups, type ScoreDetail, type ScoredRow } from './mean-of-groups.js';
import type { Group, Reference } from './reference.js';
import { relaxedAccuracy } from './relaxed-accuracy.js';
import { squad } from './squad.js';
import { vqaAccuracy } from './vqa.js';

export const metricNames = ['relaxed-accuracy', 'anls', 'vqa', 'squad', 'choice'] as const;

export type MetricName = (typeof metricNames)[number];

/** How answers are scored, and how scores of rows become one. */
export interface Metric {
  score(prediction: string, reference: Reference): RowScore;
  /** What scores are averaged within first, outermost first. */
  readonly groups: readonly (keyof Group)[];
  /**
   * Called for every row before a model is asked.
   * @throws ScoreError SCORE_NO_GOLD, SCORE_INVALID_REFERENCE
   */
  assertReference(reference: Reference): void;
}

interface RowScore {
  /** 0 to 1. */
  readonly score: number;
  /** Other numbers of the metric, 0 to 1. */
  readonly others?: Readonly<Record<string, number>>;
}

/** Scores of all rows. */
interface Score {
  /** 0 to 1. */
  readonly score: number;
  readonly rows: number;
  /** Groups, and other numbers of the metric. */
  readonly details: readonly ScoreDetail[];
}

/** Adds up the scores of answers. */
export interface MetricRun {
  /** @throws ScoreError SCORE_NO_GOLD, SCORE_INVALID_REFERENCE */
  add(prediction: string, reference: Reference): void;
  /** @throws ScoreError SCORE_NO_ROWS */
  finish(): Score;
}

export const metrics: Readonly<Record<MetricName, Metric>> = {
  'relaxed-accuracy': {
    ...ofGolds(relaxedAccuracy),
    groups: ['split'],
  },
  anls: ofGolds(anls),
  vqa: ofGolds(vqaAccuracy),
  squad: {
    groups: [],
    score(prediction, { golds }) {
      const { exactMatch, f1 } = squad(prediction, golds);
      return { score: exactMatch, others: { f1 } };
    },
    assertReference: assertGolds,
  },
  choice: {
    groups: ['questionType', 'language'],
    score: (prediction, { golds, options }) => ({
      score: choiceAccuracy(prediction, golds, options),
    }),
    assertReference(reference) {
      assertGolds(reference);
      assertGoldsAreOptions(reference.golds, reference.options);
    },
  },
};

/** A metric over rows that are added one after the other. */
export function createMetric(name: MetricName): MetricRun {
  const metric = metrics[name];
  const rows: (ScoredRow & RowScore)[] = [];
  return {
    add(prediction, reference) {
      assertGolds(reference);
      rows.push({ ...metric.score(prediction, reference), group: reference.group });
    },
    finish() {
      if (rows.length === 0)
        throw new ScoreError('SCORE_NO_ROWS', `${name}: 0 rows were scored, at least 1 is needed`);
      const { score, details } = meanOfGroups(rows, metric.groups);
      return { score, rows: rows.length, details: [...details, ...meansOfOthers(rows)] };
    },
  };
}

function ofGolds(score: (prediction: string, golds: readonly string[]) => number): Metric {
  return {
    groups: [],
    score: (prediction, { golds }) => ({ score: score(prediction, golds) }),
    assertReference: assertGolds,
  };
}

function assertGolds({ golds }: Reference): void {
  if (golds.length === 0)
    throw new ScoreError('SCORE_NO_GOLD', 'an answer is compared with 0 golds, at least 1 needed');
}

function meansOfOthers(rows: readonly RowScore[]): ScoreDetail[] {
  const names = new Set(rows.flatMap(({ others }) => Object.keys(others ?? {})));
  return [...names].map((name) => {
    const values = rows.flatMap(({ others }) => others?.[name] ?? []);
    return { name, score: mean(values), rows: values.length };
  });
}
