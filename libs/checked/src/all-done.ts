/**
 * Waits until all have ended, also where one fails: nothing of them goes on behind the caller's
 * back.
 * @throws what the first of them that failed did
 */
export async function allDone<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
