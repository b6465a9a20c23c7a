/** Commands of whole jobs on this machine. */
export const tuning = ['tune', 'plan'] as const;

/** Whole jobs, here or elsewhere. */
export const job = [...tuning, 'jobs'] as const;

/** Commands that run a model on rows. */
export const running = [...job, 'eval'] as const;

/** Commands that answer: one prompt, or a conversation on the terminal or over HTTP. */
export const answering = ['generate', 'chat'] as const;

/** Commands that run a model. */
export const modelled = [...running, ...answering] as const;
