const prefix = 'jobs/';

/** The identifier in a resource name `jobs/{job}`, which is also its token in keys and subjects. */
export function jobIdOf(name: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/** `jobs/{job}` */
export function jobNameOf(id: string): string {
  return `${prefix}${id}`;
}

/**
 * Keys in the bucket of tensors. What a stage may write more than once has its fencing token in the
 * key, so that a superseded attempt overwrites nothing; which one counts is said by a record.
 */
export const tensorKeys = Object.freeze({
  ofJob: (job: string) => `${job}/`,
  jobOf: (key: string) => key.slice(0, key.indexOf('/')),
  statistics: (job: string, block: number, token: number) => `${job}/statistics/${block}/${token}`,
  factors: (job: string, block: number, token: number) => `${job}/factors/${block}/${token}`,
  corrections: (job: string, block: number, token: number) =>
    `${job}/corrections/${block}/${token}`,
  training: (
    job: string,
    stage: 'train' | 'refine',
    { token, step }: { token: number; step: number },
  ) => `${job}/training/${stage}/${token}-${step}`,
  log: (job: string, stage: 'train' | 'refine', token: number) => `${job}/log/${stage}/${token}`,
  adapter: (job: string, stage: 'train' | 'correct' | 'refine', token: number) =>
    `${job}/adapter/${stage}/${token}`,
});
