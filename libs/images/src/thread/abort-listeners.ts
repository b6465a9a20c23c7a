/** Many that wait on a signal, as one listener: Node.js takes more than ten for a leak. */
export class AbortListeners {
  readonly #bySignal = new Map<AbortSignal, Set<() => void>>();

  /** Until what is returned is disposed. */
  listen(signal: AbortSignal, listener: () => void): Disposable {
    const known = this.#bySignal.get(signal);
    const listeners = known ?? new Set();
    listeners.add(listener);
    const onAbort = (): void => {
      for (const each of [...listeners]) each();
    };
    if (!known) {
      this.#bySignal.set(signal, listeners);
      signal.addEventListener('abort', onAbort, { once: true });
    }
    return { [Symbol.dispose]: () => listeners.delete(listener) };
  }
}
