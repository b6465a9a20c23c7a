import { randomUUID } from 'node:crypto';
import { systemClock, type Timer } from '@emloc/time';
import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';

import type { AuthenticatedCall, Principal } from './authentication.js';
import { RpcError } from './errors.js';

/** Metadata that names a request in the logs of both ends. */
export const requestIdKey = 'x-request-id';

/** What every kind of call of grpc-js's server has. */
export type ServerCall = Pick<
  ServerUnaryCall<Buffer, Buffer>,
  'metadata' | 'getPeer' | 'getDeadline' | 'getAuthContext' | 'sendMetadata'
> & {
  once(event: 'cancelled', listener: () => void): unknown;
};

/** What a handler knows about its call. */
export interface CallContext {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly requestId: string;
  readonly principal: Principal;
  /** Address of the caller. */
  readonly peer: string;
  /**
   * Aborted, with an RpcError as its reason, when the caller has gone, the deadline has passed or
   * the server is forced to close.
   */
  readonly signal: AbortSignal;
  /** Aborted when the server starts to close: streams that would go on should end. */
  readonly draining: AbortSignal;
  /** When the caller stops to wait; null: never. */
  readonly deadline: Date | null;
}

/** A call's life on the server: its signal, and the timer of its deadline. */
export class CallLife {
  readonly #controller = new AbortController();
  readonly #timer: Timer | null;
  #ended = false;
  readonly deadline: Date | null;
  readonly requestId: string;
  readonly startedMs = performance.now();
  /** Null: it is not authenticated yet. */
  caller: AuthenticatedCall | null = null;

  /** @param timeoutMs of calls that come without a deadline; Infinity: none */
  constructor(call: ServerCall, timeoutMs: number) {
    this.requestId = requestIdOf(call.metadata);
    this.deadline =
      deadlineOf(call) ?? (Number.isFinite(timeoutMs) ? new Date(Date.now() + timeoutMs) : null);
    this.#timer =
      this.deadline &&
      startTimer(this.deadline, () =>
        this.abort(new RpcError('DEADLINE_EXCEEDED', 'the deadline of the call has passed')),
      );
    call.once('cancelled', () => this.abort(new RpcError('CANCELLED', 'the caller has cancelled')));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Does nothing once the call has ended. */
  abort(reason: RpcError): void {
    if (!this.#ended) this.#controller.abort(reason);
  }

  /** Stops the timer. Returns how long the call took. */
  end(): { seconds: number } {
    this.#ended = true;
    this.#timer?.end();
    return { seconds: (performance.now() - this.startedMs) / 1000 };
  }
}

function startTimer(deadline: Date, onPassed: () => void): Timer {
  return systemClock.after(deadline.getTime() - Date.now(), onPassed, { holdsProcess: false });
}

function deadlineOf(call: ServerCall): Date | null {
  const deadline = call.getDeadline();
  const ms = typeof deadline === 'number' ? deadline : deadline.getTime();
  return Number.isFinite(ms) ? new Date(ms) : null;
}

/** As the caller says, or a new one. */
export function requestIdOf(metadata: Metadata): string {
  const [given] = metadata.get(requestIdKey);
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}
