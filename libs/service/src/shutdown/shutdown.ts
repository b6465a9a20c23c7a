import { messageOf } from '@emloc/checked';

export interface ShutdownOptions {
  /** From the request until the process ends, whatever the steps do. */
  readonly graceMs: number;
  readonly onStep?: (name: string, error: Error | undefined) => void;
  /** Ends the process; replaced in tests. */
  readonly exit?: (code: number) => void;
}

/**
 * Ends a service in order: readiness drops, work in flight is finished or saved, connections close,
 * exit.
 */
export interface Shutdown {
  /** Aborts when the end has been asked for: take no new work, save what you do. */
  readonly signal: AbortSignal;
  /** What a readiness probe answers: between `ready()` and the request. */
  readonly isReady: boolean;
  ready(): void;
  /**
   * Something to be done before the end. Steps run one after the other, last added first, so that
   * what a thing needs outlives it.
   * @param step gets a signal that aborts when the grace period is over
   */
  add(name: string, step: (deadline: AbortSignal) => Promise<void> | void): void;
  /**
   * Asks for the end; again returns the same promise. Resolves with the exit code: 0 when every
   * step was done in time.
   */
  request(reason: string): Promise<number>;
  /**
   * Asks for the end at SIGTERM and SIGINT; the second SIGINT ends the process at once.
   * @returns takes the handlers away
   */
  listen(): () => void;
}

export function createShutdown({
  graceMs,
  onStep,
  exit = (code) => process.exit(code),
}: ShutdownOptions): Shutdown {
  return new OrderlyShutdown(graceMs, onStep ?? (() => undefined), exit);
}

class OrderlyShutdown implements Shutdown {
  readonly #controller = new AbortController();
  readonly #steps: { name: string; step: (deadline: AbortSignal) => Promise<void> | void }[] = [];
  #isReady = false;
  #ending: Promise<number> | undefined;

  constructor(
    private readonly graceMs: number,
    private readonly onStep: (name: string, error: Error | undefined) => void,
    private readonly exit: (code: number) => void,
  ) {}

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  ready(): void {
    this.#isReady = !this.#controller.signal.aborted;
  }

  add(name: string, step: (deadline: AbortSignal) => Promise<void> | void): void {
    this.#steps.push({ name, step });
  }

  request(reason: string): Promise<number> {
    this.#ending ??= this.#end(reason);
    return this.#ending;
  }

  listen(): () => void {
    const terminate = (): void => void this.request('SIGTERM');
    const interrupt = (): void => {
      if (this.#ending) this.exit(130);
      else void this.request('SIGINT');
    };
    process.on('SIGTERM', terminate).on('SIGHUP', terminate).on('SIGINT', interrupt);
    return () =>
      void process.off('SIGTERM', terminate).off('SIGHUP', terminate).off('SIGINT', interrupt);
  }

  async #end(reason: string): Promise<number> {
    this.#isReady = false;
    const deadline = AbortSignal.timeout(this.graceMs);
    this.#controller.abort(new Error(`shutting down: ${reason}`));
    let failures = 0;
    for (const { name, step } of [...this.#steps].reverse()) {
      const error = await runStep(name, step, deadline);
      if (error) failures += 1;
      this.onStep(name, error);
    }
    const code = failures === 0 ? 0 : 1;
    this.exit(code);
    return code;
  }
}

/** A step that is not done by the deadline is left behind. */
async function runStep(
  name: string,
  step: (deadline: AbortSignal) => Promise<void> | void,
  deadline: AbortSignal,
): Promise<Error | undefined> {
  const late = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new Error(`${name} was not done within the grace period`));
    if (deadline.aborted) fail();
    else deadline.addEventListener('abort', fail, { once: true });
  });
  late.catch(() => undefined);
  try {
    await Promise.race([Promise.resolve(step(deadline)), late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}
