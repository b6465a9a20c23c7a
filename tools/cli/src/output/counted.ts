import { optionsFor, type JobReport } from '@emloc/pipeline';
import type { Job } from '@emloc/sdk';

/** What a job's steps count, and its rate is of. */
export type Counted = 'tokens' | 'pictures';

/** Of a job in this process. */
export function countedBy({ kind }: JobReport): Counted {
  return kind === 'pictures' ? 'pictures' : 'tokens';
}

/** Of a remote job, as far as its options tell: only models that make pictures take these. */
export function countedIn({ options }: Pick<Job, 'options'>): Counted {
  const values: Readonly<Record<string, unknown>> = options;
  const isGiven = (value: unknown, usual: unknown): boolean =>
    value !== undefined && value !== usual && !(Array.isArray(value) && value.length === 0);
  const isOfPictures = optionsFor('tune').some(
    ({ name, of, default: usual }) => of === 'pictures' && isGiven(values[name], usual),
  );
  return isOfPictures ? 'pictures' : 'tokens';
}

/** A rate for people. */
export function rateText(perSecond: number, counted: Counted): string {
  const isSmall = counted === 'pictures' && perSecond < 10;
  return `${isSmall ? perSecond.toFixed(1) : Math.round(perSecond)} ${counted}/s`;
}
