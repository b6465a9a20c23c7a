import { constants } from 'node:os';
import { firstError } from '@emloc/checked';
import type { TuneReport } from '@emloc/pipeline';

import { UsageError } from './usage-error.js';

/** Exit codes of every command, beside those of signals. */
export const exitCodes = Object.freeze({ done: 0, failed: 1, usage: 2, worse: 3 });

/** What each exit code says; docs/reference/exit-codes.md is made from it. */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = Object.freeze({
  done: 'The work was done, or help, version or completion were shown; for `serve` and `generate --serve`: it has ended in order after a signal.',
  failed:
    'The work was not done, for a reason that the error says; for `data`: a row cannot be used; for `info`: the device cannot be had; for `serve`: a process had to be killed.',
  usage:
    'The command was called wrongly: a flag, a value, a configuration file. It fails again until the call is changed.',
  worse:
    'Training diverged, or its adapter is worse than the base model. What there is was written; a smaller `--lr` or more data may help.',
});

/** Signals that stop a command. */
export const stopSignals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** The exit code of a job that is done. @param ending null: it is not known */
export function endingCode(ending: TuneReport['ending'] | null): number {
  return ending === null || ending === 'sound' ? exitCodes.done : exitCodes.worse;
}

/** Runs training, whose numbers may cease to be finite, so that there is no adapter. */
export async function runTraining<T>(train: () => Promise<T>): Promise<T> {
  try {
    return await train();
  } catch (thrown) {
    const error = firstError(thrown);
    if (error instanceof Error && codeOf(error) === 'FINETUNE_NON_FINITE') diverged.add(error);
    throw error;
  }
}

const diverged = new WeakSet<object>();

function codeOf(error: Error): unknown {
  return (error as { readonly code?: unknown }).code;
}

/** Codes of errors about how the command was called that libraries and services find. */
const usageCodes: ReadonlySet<unknown> = new Set([
  'CHAT_SERVER_INVALID_OPTION',
  'CHECKPOINT_INVALID_OPTION',
  'DATASET_INVALID_OPTION',
  'DEPLOYMENT_INVALID_OPTION',
  'DEVICE_INVALID_OPTION',
  'DEVICE_UNKNOWN',
  'DIFFUSION_INVALID_OPTION',
  'EMULATOR_INVALID_RATIO',
  'HUB_OPTION_INVALID',
  'IMAGE_INVALID_OPTION',
  'INVALID_REQUEST',
  'SDK_OPTION_INVALID',
]);

const refused = new WeakSet<object>();

/** What a script is told of an error. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof Error)) return exitCodes.failed;
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  const isOfJob = code === 'SDK_JOB_FAILED' && reason === 'FINETUNE_NON_FINITE';
  if (isOfJob || diverged.has(error)) return exitCodes.worse;
  const isUsage =
    error instanceof UsageError ||
    refused.has(error) ||
    usageCodes.has(code) ||
    usageCodes.has(reason) ||
    isOfService(error);
  return isUsage ? exitCodes.usage : exitCodes.failed;
}

/** Services end with the same code where their flags, which are those of `serve`, are wrong. */
function isOfService({ cause }: Error): boolean {
  const { failure } = Object(cause) as { failure?: { code?: unknown } | null };
  return failure?.code === exitCodes.usage;
}

/** As shells tell it: 130, 143, 129. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/**
 * Runs what looks at options alone, before any model or data is read: what it refuses is a mistake
 * in how the command was called, whatever its code.
 */
export function checkOptions<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof Error) refused.add(error);
    throw error;
  }
}
