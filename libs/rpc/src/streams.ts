import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Settles as `promise` does, or rejects with the signal's reason as soon as it is aborted. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Writes every message to an object stream at the speed of its reader: the next one is asked for
 * when the stream's buffer has room. An abort ends it even while the source or the reader hangs;
 * the source is told by `return`.
 */
export async function writeAll<T>(
  messages: AsyncIterable<T>,
  stream: Writable,
  { encode, signal }: { encode: (message: T) => Buffer; signal: AbortSignal },
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), signal);
      if (next.done) break;
      if (!stream.write(encode(next.value)))
        await untilAborted(once(stream, 'drain', { signal }), signal);
    }
    finished = true;
  } finally {
    // A source that hangs would answer `return` only after its pending `next`: nobody waits for
    // that.
    if (!finished) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
