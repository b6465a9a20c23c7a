/** Of things that a deployment counts in 32 bits, so that sums of them stay exact. */
export const mostCounted = 1_000_000;

/** Optimizer steps of a run. */
export const mostSteps = 10_000_000;
/** Files of rows beside the first. */
export const mostFurtherFiles = 99;

/** Beyond it no optimizer learns anything. */
export const mostLearningRate = 1_000_000;
