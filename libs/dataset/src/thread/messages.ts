import type { TextDescription } from '../dataset-session.js';
import { DatasetError, type DatasetErrorCode, type RowProblem } from '../errors.js';
import type { DatasetRequest, DatasetSummary, RowOutcome } from '../rows/read-dataset.js';

/** What the thread is asked for; one thing at a time. */
export type ToThread =
  | { readonly type: 'describe' }
  | { readonly type: 'read'; readonly request: DatasetRequest }
  /** The next outcomes of what is read. */
  | { readonly type: 'next' }
  /** What is read is not wanted any more. */
  | { readonly type: 'stop' };

/** Its answer. */
export type FromThread =
  | { readonly type: 'described'; readonly description: TextDescription }
  | { readonly type: 'outcomes'; readonly outcomes: readonly RowOutcome[] }
  | { readonly type: 'end'; readonly summary: DatasetSummary }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: WireError };

/** An error as it passes between threads, which keep no classes. */
export interface WireError {
  readonly code: DatasetErrorCode | null;
  readonly message: string;
  readonly messageForOwner: string;
  readonly problems: readonly RowProblem[];
}

export function toWireError(error: unknown): WireError {
  if (error instanceof DatasetError) {
    const { code, message, messageForOwner, problems } = error;
    return { code, message, messageForOwner, problems };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: null, message, messageForOwner: message, problems: [] };
}

export function fromWireError({ code, message, messageForOwner, problems }: WireError): Error {
  return code === null
    ? new Error(message)
    : new DatasetError(code, message, { messageForOwner, problems });
}
