import type { JsonValue } from '@bufbuild/protobuf';
import type { StageEvent } from '@emloc/contracts';
import { isRpcError, RpcError } from '@emloc/rpc';
import { sleep, systemClock, Watchdog, type Clock } from '@emloc/time';

import type { StageName } from '../jobs/record.js';
import { kindOf } from './retry-policy.js';
import type { StageRequest, StageServices } from './stage-services.js';

export interface ReplicaCalls {
  readonly services: StageServices;
  readonly silenceMs: number;
  readonly onEvent: (event: StageEvent) => void;
  /** A replica failed while others work on; it is called again with the same request. */
  readonly onRetry: (error: RpcError) => Promise<void>;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

const rejoinDelayMs = 1000;

/**
 * Calls all replicas of a stage with one request; the first result is the stage's and ends the
 * other calls. A replica that fails in a way that may pass joins again while others work. @throws
 * RpcError of the last replica, or of the first failure that does not pass; the signal's reason
 */
export async function callReplicas(
  stage: StageName,
  request: StageRequest,
  calls: ReplicaCalls,
): Promise<JsonValue> {
  const over = new AbortController();
  const signal = AbortSignal.any([calls.signal, over.signal]);
  let working = 0;
  const replica = async (index: number): Promise<JsonValue> => {
    for (;;) {
      working += 1;
      try {
        return await callOnce(stage, index, request, { ...calls, signal });
      } catch (error) {
        working -= 1;
        signal.throwIfAborted();
        const mayPass =
          isRpcError(error) &&
          kindOf(error) === 'away' &&
          error.reason !== 'STAGE_STALE_FENCING_TOKEN';
        if (!mayPass || working === 0) throw error;
        await calls.onRetry(error);
      }
      do await sleep(rejoinDelayMs, { signal, clock: calls.clock });
      while (!(await isReachable(calls.services, stage, index)));
    }
  };
  const running = Array.from({ length: calls.services.replicas(stage) }, (_, index) =>
    replica(index),
  );
  try {
    return await Promise.race(running);
  } catch (error) {
    calls.signal.throwIfAborted();
    throw error;
  } finally {
    over.abort(new RpcError('CANCELLED', `stage ${stage} is over`));
    await Promise.allSettled(running);
  }
}

async function callOnce(
  stage: StageName,
  replica: number,
  request: StageRequest,
  { services, silenceMs, onEvent, signal, clock = systemClock }: ReplicaCalls,
): Promise<JsonValue> {
  const silence = new AbortController();
  const watch = new Watchdog(
    silenceMs,
    () =>
      silence.abort(
        new RpcError('UNAVAILABLE', `nothing was heard for ${silenceMs} ms`, {
          reason: 'STAGE_SILENT',
        }),
      ),
    clock,
  );
  watch.heard();
  let result: JsonValue = null;
  try {
    for await (const message of services.call(
      stage,
      replica,
      request,
      AbortSignal.any([signal, silence.signal]),
    )) {
      watch.heard();
      if (message.kind === 'event') onEvent(message.event);
      else result = message.result;
    }
  } catch (error) {
    silence.signal.throwIfAborted();
    throw error;
  } finally {
    watch.end();
  }
  if (result === null)
    throw new RpcError('INTERNAL', 'the stage ended without a result', {
      reason: 'STAGE_RESULT_MISSING',
    });
  return result;
}

function isReachable(services: StageServices, stage: StageName, replica: number): Promise<boolean> {
  return services.reach(stage, replica).then(
    () => true,
    () => false,
  );
}
