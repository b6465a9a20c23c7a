import { sleep } from '../sleep.js';

/**
 * Work of a slow source, sink or peer that a test needs. A test does not wait by it: `until` waits
 * for a condition, and a `FakeClock` for nothing.
 * @throws the signal's reason as soon as it has aborted
 */
export function takes(ms: number, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
  return sleep(ms, options);
}
