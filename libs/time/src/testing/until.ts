import { sleep } from '../sleep.js';

export interface UntilOptions {
  readonly withinMs?: number;
  readonly everyMs?: number;
}

/** Of what a machine that does much else may take for anything. */
const defaultWithinMs = 120_000;
const defaultEveryMs = 10;

/**
 * Waits until a condition of a test holds.
 * @param condition what it gives is returned once it is none of undefined, null and false
 * @param what names the condition, for the error
 * @throws Error when it does not hold in time; what `condition` throws
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  { withinMs = defaultWithinMs, everyMs = defaultEveryMs }: UntilOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false)
      return value as Exclude<T, undefined | null | false>;
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(everyMs);
  }
}
