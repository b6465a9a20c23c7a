import type { JobService } from '@emloc/contracts';
import type { RpcError } from '@emloc/rpc';

export type MethodName = keyof (typeof JobService)['method'];

/** What goes wrong in one call of a method. */
export type Fault =
  /** Nothing. */
  | { readonly kind: 'none' }
  /** The call fails before anything is sent. */
  | { readonly kind: 'fail'; readonly error: RpcError }
  /** The stream fails after so many messages. */
  | { readonly kind: 'failAfter'; readonly messages: number; readonly error: RpcError }
  /** The stream ends as if it were complete. */
  | { readonly kind: 'endAfter'; readonly messages: number }
  /** The connection is cut after so many messages. */
  | { readonly kind: 'cutAfter'; readonly messages: number }
  /** Events up to so many before the one that was asked for are sent once more. */
  | { readonly kind: 'repeat'; readonly events: number }
  /** An event is left out. */
  | { readonly kind: 'skip'; readonly sequence: number }
  /** A bit of the first bytes is wrong. */
  | { readonly kind: 'flipBit' }
  /** Bytes come from a place that was not asked for. */
  | { readonly kind: 'misplace' }
  /** Nothing is answered until the caller gives up. */
  | { readonly kind: 'hang' };

/** Faults of calls to come: each call of a method takes the next one. */
export class Faults {
  readonly #queues = new Map<MethodName, Fault[]>();

  /** Adds the faults of the next calls of a method. */
  next(method: MethodName, ...faults: readonly Fault[]): void {
    this.#queues.set(method, [...(this.#queues.get(method) ?? []), ...faults]);
  }

  take(method: MethodName): Fault {
    return this.#queues.get(method)?.shift() ?? { kind: 'none' };
  }

  /** Faults that no call has met. */
  get left(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.length, 0);
  }
}
