import type { Transferable } from 'node:worker_threads';
import { firstError } from '@emloc/checked';

/** What a worker thread is asked, says on the way, asks back and answers. */
export interface WorkerContract {
  readonly task: unknown;
  readonly event: unknown;
  readonly request: unknown;
  readonly response: unknown;
  readonly result: unknown;
}

/** A value with what is moved instead of copied. */
export interface Moved<T> {
  readonly value: T;
  readonly transfer: readonly Transferable[];
}

/**
 * From the main thread. `aborted` is a shared flag that a thread can read while its event loop is
 * blocked.
 */
export type ToWorker =
  | {
      readonly type: 'run';
      readonly id: number;
      readonly task: unknown;
      readonly aborted: Int32Array;
    }
  | { readonly type: 'abort'; readonly id: number }
  | {
      readonly type: 'response';
      readonly id: number;
      readonly requestId: number;
      readonly value: unknown;
    }
  | {
      readonly type: 'refusal';
      readonly id: number;
      readonly requestId: number;
      readonly error: WireError;
    };

/** From the worker thread. */
export type FromWorker =
  /** Comes first. */
  | { readonly type: 'started'; readonly thread: number | null }
  | { readonly type: 'event'; readonly id: number; readonly event: unknown }
  | {
      readonly type: 'request';
      readonly id: number;
      readonly requestId: number;
      readonly request: unknown;
    }
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError };

/** An error on its way between threads, where classes and codes are lost otherwise. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  readonly cause: WireError | undefined;
}

/** Code and other plain fields come along; of errors in a row the first. */
export function toWireError(thrown: unknown): WireError {
  const first = firstError(thrown);
  const error = first instanceof Error ? first : new Error(String(first));
  const fields = Object.entries(error).filter(
    (field): field is [string, string | number | boolean] =>
      field[0] !== 'cause' && ['string', 'number', 'boolean'].includes(typeof field[1]),
  );
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    fields: Object.fromEntries(fields),
    cause: error.cause === undefined ? undefined : toWireError(error.cause),
  };
}

/** An Error with the name, code and fields of the one that was thrown in the other thread. */
export function fromWireError({ name, message, stack, fields, cause }: WireError): Error {
  const error = new Error(message, cause ? { cause: fromWireError(cause) } : {});
  Object.assign(error, fields);
  Object.defineProperty(error, 'name', { value: name, configurable: true });
  if (stack !== undefined) error.stack = stack;
  return error;
}
