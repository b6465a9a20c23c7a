import { at } from '@emloc/checked';

import type { LinkTimes } from './quality-meter.js';
import type { NamedRun, QualityScore } from './quality-summary.js';

/** What `bench quality --json` writes: runs of one model on one task. */
export interface QualityRecord {
  readonly conditions: {
    readonly model: string;
    readonly test: string;
    readonly limit: number;
    readonly learningRate: number;
    readonly device: string;
    /** GB/s that copies of weights were slowed to; null: they were not. */
    readonly linkGbps: number | null;
    /** Of the head in what a token takes on the original. */
    readonly headShare: number;
  };
  readonly base: QualityScore;
  readonly runs: readonly NamedRun[];
}

/**
 * Records of several processes as one.
 * @throws Error where they are not of one model and one task
 */
export function mergeRecords(records: readonly QualityRecord[]): QualityRecord {
  const first = at(records, 0);
  for (const { conditions } of records)
    for (const key of ['model', 'test', 'limit'] as const)
      if (conditions[key] !== first.conditions[key])
        throw new Error(
          `--from: ${key} ${conditions[key]} beside ${first.conditions[key]}: records of one model and task expected`,
        );
  return { ...first, runs: records.flatMap(({ runs }) => runs) };
}

/** What the jobs of these records took, by the link that they had. */
export function linkTimes(records: readonly QualityRecord[]): readonly LinkTimes[] {
  const links = [...new Set(records.map(({ conditions }) => conditions.linkGbps))];
  return links.map((linkGbps) => {
    const own = records.filter(({ conditions }) => conditions.linkGbps === linkGbps);
    return { linkGbps, works: own.flatMap(({ runs }) => runs.map(({ work }) => work)) };
  });
}
