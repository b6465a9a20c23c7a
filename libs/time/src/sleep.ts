import { setImmediate } from 'node:timers/promises';

import { systemClock, type Clock, type TimerOptions } from './clock.js';

export interface SleepOptions extends TimerOptions {
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
}

/** Resolves after so long. @throws the signal's reason as soon as it has aborted */
export async function sleep(ms: number, options: SleepOptions = {}): Promise<void> {
  await pause(ms, options);
  options.signal?.throwIfAborted();
}

/** Resolves after so long, or as soon as the signal has aborted. */
export function pause(
  ms: number,
  { signal, clock = systemClock, ...options }: SleepOptions = {},
): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const over = (): void => {
      timer.end();
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const timer = clock.after(ms, over, options);
    signal?.addEventListener('abort', over, { once: true });
  });
}

/** Resolves when what has arrived at the process so far has been taken in. */
export function nextTurn(): Promise<void> {
  return setImmediate();
}
