import { systemClock, type Clock } from './clock.js';

/**
 * Settles as `promise` does, or rejects when it has not within so long; then nobody hears of how it
 * settles.
 */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  late: () => Error,
  clock: Clock = systemClock,
): Promise<T> {
  let timer: Disposable | undefined;
  const passed = new Promise<never>((_, reject) => {
    timer = clock.after(ms, () => reject(late()));
  });
  try {
    return await Promise.race([promise, passed]);
  } finally {
    timer?.[Symbol.dispose]();
  }
}
