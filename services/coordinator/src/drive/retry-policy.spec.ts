import { RpcError, type RpcCode } from '@emloc/rpc';

import { addFailure, decideRetry, stageError, type FailureStreak } from './retry-policy.js';

/** How often a stage that always fails so is started again within an hour, one failure a minute. */
function retries(code: RpcCode, reason?: string): number {
  let streak: FailureStreak | null = null;
  for (let minute = 0; ; minute += 1) {
    const error = new RpcError(code, 'x', { reason });
    streak = addFailure(streak, error, minute * 60_000);
    if (!decideRetry(error, streak, { nowMs: minute * 60_000, retryForMs: 3_600_000 }).retry)
      return minute;
  }
}

test('what passes by itself is tried until the time is over, a defect a few times, the rest not at all', () => {
  expect((['UNAVAILABLE', 'ABORTED', 'CANCELLED'] as const).map((code) => retries(code))).toEqual([
    60, 60, 60,
  ]);
  expect(
    (['INTERNAL', 'UNKNOWN', 'DEADLINE_EXCEEDED', 'DATA_LOSS'] as const).map((code) =>
      retries(code),
    ),
  ).toEqual([3, 3, 3, 1]);
  expect(
    (
      [
        'INVALID_ARGUMENT',
        'FAILED_PRECONDITION',
        'RESOURCE_EXHAUSTED',
        'NOT_FOUND',
        'PERMISSION_DENIED',
        'UNAUTHENTICATED',
        'UNIMPLEMENTED',
      ] as const
    ).map((code) => retries(code)),
  ).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect([
    retries('FAILED_PRECONDITION', 'STAGE_STALE_FENCING_TOKEN'),
    retries('UNAVAILABLE', 'WORKER_FAILED'),
  ]).toEqual([60, 3]);
});

test('the delay grows to a few seconds', () => {
  const error = new RpcError('UNAVAILABLE', 'x');
  const delayAfter = (failures: number): number => {
    const decision = decideRetry(
      error,
      { sinceMs: 0, failures, byKind: { away: failures } },
      { nowMs: 1, retryForMs: 1000 },
    );
    return decision.retry ? decision.delayMs : Number.NaN;
  };
  expect(delayAfter(1)).toBeLessThanOrEqual(200);
  expect(delayAfter(1000)).toBeGreaterThanOrEqual(2500);
  expect(delayAfter(1000)).toBeLessThanOrEqual(5000);
});

test('an error names stage and layer once, and not the request that had it', () => {
  const error = new RpcError('DATA_LOSS', 'bad block', {
    metadata: { layer: 'l.1', request_id: 'r' },
  });
  const named = stageError('emulate', error);
  expect([named.message, named.metadata]).toEqual([
    'emulate, layer l.1: bad block',
    { stage: 'emulate', layer: 'l.1' },
  ]);
  expect(stageError('emulate', named).message).toBe(named.message);
});
