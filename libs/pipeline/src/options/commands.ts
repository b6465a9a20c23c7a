/** Commands of whole jobs on this machine. */
export const tuning = ['tune', 'plan'] as const;

/** Whole jobs, here or elsewhere. */
export const job = [...tuning, 'jobs'] as const;

/** Commands that run a model on rows. */
export const running = [...job, 'eval'] as const;

/** Commands that run a model. */
export const modelled = [...running, 'generate'] as const;
