import { retryPauseMs, RpcError, type RetryPolicy, type RpcCode } from '@emloc/rpc';

import type { StageName } from '../jobs/record.js';

/** Failures of a stage since it last got further. */
export interface FailureStreak {
  readonly sinceMs: number;
  readonly failures: number;
  readonly byKind: Readonly<Partial<Record<FailureKind, number>>>;
}

/** How often a failure of this kind may follow another before the job fails. */
const limits = Object.freeze({ away: Number.POSITIVE_INFINITY, defect: 3, damage: 1, final: 0 });

export type FailureKind = keyof typeof limits;

export type RetryDecision =
  { readonly retry: true; readonly delayMs: number } | { readonly retry: false };

const backoff: RetryPolicy = Object.freeze({
  attempts: Number.POSITIVE_INFINITY,
  initialDelayMs: 200,
  maxDelayMs: 5_000,
  factor: 2,
});

const kinds: Readonly<Partial<Record<RpcCode, FailureKind>>> = Object.freeze({
  UNAVAILABLE: 'away',
  ABORTED: 'away',
  CANCELLED: 'away',
  INTERNAL: 'defect',
  UNKNOWN: 'defect',
  DEADLINE_EXCEEDED: 'defect',
  DATA_LOSS: 'damage',
});

/**
 * UNAVAILABLE or a stale token pass by themselves; an engine whose thread dies may do so every
 * time.
 */
export function kindOf({ code, reason }: RpcError): FailureKind {
  if (reason === 'STAGE_STALE_FENCING_TOKEN') return 'away';
  if (reason === 'WORKER_FAILED') return 'defect';
  return kinds[code] ?? 'final';
}

export function addFailure(
  streak: FailureStreak | null,
  error: RpcError,
  nowMs: number,
): FailureStreak {
  const kind = kindOf(error);
  const { sinceMs, failures, byKind } = streak ?? { sinceMs: nowMs, failures: 0, byKind: {} };
  return {
    sinceMs,
    failures: failures + 1,
    byKind: { ...byKind, [kind]: (byKind[kind] ?? 0) + 1 },
  };
}

/** @param streak with the failure `error` as its last */
export function decideRetry(
  error: RpcError,
  streak: FailureStreak,
  { nowMs, retryForMs }: { nowMs: number; retryForMs: number },
): RetryDecision {
  const kind = kindOf(error);
  if ((streak.byKind[kind] ?? 0) > limits[kind] || nowMs - streak.sinceMs >= retryForMs)
    return { retry: false };
  return {
    retry: true,
    delayMs: retryPauseMs(backoff, Math.min(streak.failures, 30), {
      retryDelayMs: error.retryDelayMs,
    }),
  };
}

/**
 * An error of a stage as the job's owner sees it: stage and, where it is known, layer in message
 * and metadata.
 */
export function stageError(
  stage: StageName | 'outcome',
  { code, message, reason, domain, metadata, fieldViolations, retryDelayMs, cause }: RpcError,
): RpcError {
  const { request_id: _requestId, ...rest } = metadata;
  const place = rest['layer'] === undefined ? stage : `${stage}, layer ${rest['layer']}`;
  const text = message.startsWith(`${place}: `) ? message : `${place}: ${message}`;
  return new RpcError(code, text, {
    reason,
    domain,
    metadata: { ...rest, stage },
    fieldViolations,
    retryDelayMs,
    cause,
  });
}
