import type { JobEvent } from '@emloc/sdk';

import type { AppliedFault } from './bed/inject.js';
import type { RoundPlan } from './plan/rounds.js';

/** An event of a job, and when a watcher saw it. */
export interface SeenEvent {
  readonly afterMs: number;
  readonly event: JobEvent;
}

/** What came of a round. */
export interface RoundOutcome {
  readonly plan: RoundPlan;
  /** `identical`, `cancelled`, or the reason of a failure. */
  readonly end: string;
  readonly faults: readonly AppliedFault[];
  readonly seconds: number;
  /** How long the coordinator took to accept the job; null: it did not. */
  readonly acceptedMs: number | null;
  /** Stage calls that were made again. */
  readonly retries: number;
  /** From the end of each fault to the next that the job's watcher saw. */
  readonly recoverySeconds: readonly number[];
  /** What was left of the job when it was deleted, among the problems too. */
  readonly leftovers: readonly string[];
  /** Empty: everything is as it has to be. */
  readonly problems: readonly string[];
  readonly events: readonly SeenEvent[];
}

/** What came of a round that could not be run to its end. */
export function brokenRound(
  plan: RoundPlan,
  error: unknown,
  { startMs, events }: { readonly startMs: number; readonly events: readonly SeenEvent[] },
): RoundOutcome {
  return {
    plan,
    end: 'unknown',
    faults: [],
    seconds: (performance.now() - startMs) / 1000,
    acceptedMs: null,
    retries: 0,
    recoverySeconds: [],
    leftovers: [],
    problems: [`the round could not be run to its end: ${describeError(error)}`],
    events,
  };
}

/** A message with that of its cause. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  return cause instanceof Error && cause.message !== message
    ? `${message}: ${cause.message}`
    : message;
}
