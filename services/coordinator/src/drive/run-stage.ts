import type { JsonValue } from '@bufbuild/protobuf';
import type { StageEvent } from '@emloc/contracts';
import { isRpcError, RpcError } from '@emloc/rpc';
import type { Metrics } from '@emloc/telemetry';
import { sleep } from '@emloc/time';

import { toStatusJson, type EventContent } from '../jobs/events.js';
import type { JobLedger } from '../jobs/ledger.js';
import type { StageName } from '../jobs/record.js';
import { finishStage, retryAttempt, retryStage, startStage } from '../jobs/transitions.js';
import { EventForwarder } from './event-forwarder.js';
import { callReplicas } from './replicas.js';
import { addFailure, decideRetry, stageError, type FailureStreak } from './retry-policy.js';
import { mergedArtifacts, requestOf } from './stage-results.js';
import type { StageRequest, StageServices } from './stage-services.js';

interface StageSettings {
  /** Silence of a stage after which its call is given up. */
  readonly stageSilenceMs: number;
  /** How long a stage is tried without getting further. */
  readonly stageRetryForMs: number;
}

export interface StageRun {
  readonly ledger: JobLedger;
  readonly services: StageServices;
  readonly settings: StageSettings;
  readonly metrics: Pick<Metrics, 'stageDuration' | 'stageRetries'>;
  /** Its reason is thrown when it aborts. */
  readonly signal: AbortSignal;
}

/**
 * Runs a stage until its result is in the job's record, starting it again after failures that may
 * pass.
 * @throws RpcError that names stage and layer, when it cannot succeed; the signal's reason;
 * NatsError
 */
export async function runStage(stage: StageName, run: StageRun): Promise<void> {
  const streak: { failures: FailureStreak | null } = { failures: null };
  await tellTakeover(stage, run);
  for (;;) {
    run.signal.throwIfAborted();
    const record = await run.ledger.change(startStage(stage));
    if (record.state !== 'RUNNING')
      throw new RpcError('CANCELLED', `${stage}: the job was cancelled`);
    try {
      const result = await timed(stage, run, () =>
        attempt(stage, requestOf(stage, record), run, () => {
          streak.failures = null;
        }),
      );
      const artifacts =
        stage === 'merge' ? mergedArtifacts(record.id, result, new Date().toISOString()) : [];
      await run.ledger.change(finishStage(stage, result, artifacts));
      return;
    } catch (thrown) {
      run.signal.throwIfAborted();
      if (!isRpcError(thrown)) throw thrown;
      await again(stage, stageError(stage, thrown), run, streak);
    }
  }
}

/** Waits until a stage may be started again. @throws the error where it is for good */
async function again(
  stage: StageName,
  error: RpcError,
  run: StageRun,
  streak: { failures: FailureStreak | null },
): Promise<void> {
  const {
    signal,
    ledger,
    services,
    settings: { stageRetryForMs: retryForMs },
  } = run;
  streak.failures = addFailure(streak.failures, error, performance.now());
  const decision = decideRetry(error, streak.failures, { nowMs: performance.now(), retryForMs });
  if (!decision.retry) throw error;
  await tellEnd(stage, error, run);
  await sleep(decision.delayMs, { signal });
  const untilMs = streak.failures.sinceMs + retryForMs;
  while (!(await anyReachable(stage, services))) {
    signal.throwIfAborted();
    if (performance.now() >= untilMs || ledger.record.state !== 'RUNNING') throw error;
  }
}

/** An attempt that a leader before this one began is not gone on with. */
async function tellTakeover(stage: StageName, run: StageRun): Promise<void> {
  const { attempts = 0, result = null } = run.ledger.record.stages[stage] ?? {};
  if (attempts === 0 || result) return;
  const error = new RpcError('ABORTED', 'the coordinator that started it drives the job no more', {
    reason: 'LEADER_CHANGED',
  });
  await tellEnd(stage, stageError(stage, error), run);
}

async function tellEnd(
  stage: StageName,
  error: RpcError,
  { ledger, metrics }: StageRun,
): Promise<void> {
  const { retries } = ledger.record;
  const told = await ledger.change(retryAttempt(stage, toStatusJson(error)));
  if (told.retries > retries) metrics.stageRetries.add({ stage });
}

async function tellRetry(
  stage: StageName,
  error: RpcError,
  { ledger, metrics }: StageRun,
): Promise<void> {
  metrics.stageRetries.add({ stage });
  await ledger.change(retryStage(stage, toStatusJson(error)));
}

async function anyReachable(stage: StageName, services: StageServices): Promise<boolean> {
  const replicas = Array.from({ length: services.replicas(stage) }, (_, replica) =>
    services.reach(stage, replica),
  );
  return Promise.any(replicas).then(
    () => true,
    () => false,
  );
}

async function timed<T>(
  stage: StageName,
  { metrics, signal }: StageRun,
  work: () => Promise<T>,
): Promise<T> {
  const startedMs = performance.now();
  const observe = (outcome: 'succeeded' | 'failed' | 'cancelled'): void =>
    metrics.stageDuration.observe({ stage, outcome }, (performance.now() - startedMs) / 1000);
  try {
    const value = await work();
    observe('succeeded');
    return value;
  } catch (error) {
    observe(signal.aborted ? 'cancelled' : 'failed');
    throw error;
  }
}

/**
 * One start of a stage on all its replicas. What it tells goes to the job's log before this
 * returns.
 */
async function attempt(
  stage: StageName,
  request: StageRequest,
  run: StageRun,
  onProgress: () => void,
): Promise<JsonValue> {
  const {
    ledger,
    services,
    settings: { stageSilenceMs },
  } = run;
  const broken = new AbortController();
  const forwarder = new EventForwarder({
    send: (event) => ledger.append(event),
    onError: (error) => broken.abort(error),
  });
  const onEvent = ({ event }: StageEvent): void => {
    if (event.case === 'progress' || event.case === 'step') onProgress();
    const content = forwarded(event);
    if (content) forwarder.offer(content);
  };
  try {
    return await callReplicas(stage, request, {
      services,
      silenceMs: stageSilenceMs,
      onEvent,
      signal: AbortSignal.any([run.signal, broken.signal]),
      onRetry: (error) => tellRetry(stage, stageError(stage, error), run),
    });
  } finally {
    await forwarder.close();
    broken.signal.throwIfAborted();
  }
}

/** What of a stage's events is the job's owner's business. */
function forwarded(event: StageEvent['event']): EventContent | null {
  return event.case === 'progress' || event.case === 'step' || event.case === 'notice'
    ? event
    : null;
}
