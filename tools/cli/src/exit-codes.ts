import { UsageError } from './usage-error.js';

/** A job is done whose training diverged, or whose adapter is worse than the base model. */
const worseCode = 3;

/** The exit code of a job that is done. @param ending null: it is not known, or there is no job */
export function endingCode(ending: 'sound' | 'worse' | 'diverged' | null): number {
  return ending === null || ending === 'sound' ? 0 : worseCode;
}

/** Commands that train, or wait for training. */
const training: readonly string[] = ['tune', 'create', 'watch'];

/** The exit code of a command that has failed: also of training that has left no adapter. */
export function failureCode(error: unknown, command: string): number {
  if (error instanceof UsageError) return 2;
  const { code, reason } = error as { readonly code?: unknown; readonly reason?: unknown };
  const hasDiverged = [code, reason].includes('FINETUNE_NON_FINITE') && training.includes(command);
  return hasDiverged ? worseCode : 1;
}
