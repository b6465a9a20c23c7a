import type { JobEnvironment } from './environment.js';
import { rowUses, type Job, type RowUse } from './job.js';

/** A job and what its stages run on. */
export interface JobRun {
  readonly job: Job;
  readonly environment: JobEnvironment;
}

/**
 * The run with rows that bring all that is made of them once.
 * @param uses of the rows that are read; default: those of all stages
 */
export async function bringRows(
  { job, environment }: JobRun,
  uses: readonly RowUse[] = rowUses,
): Promise<JobRun> {
  return { job: await job.task.bring(job, environment, uses), environment };
}
