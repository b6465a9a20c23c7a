/** The promise, or a rejection with the signal's reason when that comes first. */
export function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    void promise.then(resolve, reject).then(() => signal.removeEventListener('abort', onAbort));
  });
}
