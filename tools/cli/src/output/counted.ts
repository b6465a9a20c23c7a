import type { JobReport } from '@emloc/pipeline';
import type { Job } from '@emloc/sdk';

/** What a job's steps count, and its rate is of. */
export type Counted = 'tokens' | 'pictures';

/** Of a job in this process. */
export function countedBy({ kind }: JobReport): Counted {
  return kind === 'pictures' ? 'pictures' : 'tokens';
}

/** Of a job of services. */
export function countedIn({ modelKind }: Pick<Job, 'modelKind'>): Counted {
  return modelKind === 'pictures' ? 'pictures' : 'tokens';
}

/** A rate for people. */
export function rateText(perSecond: number, counted: Counted): string {
  const isSmall = counted === 'pictures' && perSecond < 10;
  return `${isSmall ? perSecond.toFixed(1) : Math.round(perSecond)} ${counted}/s`;
}
