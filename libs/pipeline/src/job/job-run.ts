import type { JobEnvironment } from './environment.js';
import type { Job } from './job.js';

/** A job and what its stages run on. */
export interface JobRun {
  readonly job: Job;
  readonly environment: JobEnvironment;
}
