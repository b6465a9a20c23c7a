/** Ends by itself, or when it is ended; again is harmless. */
export interface Timer extends Disposable {
  end(): void;
}

export interface TimerOptions {
  /** Whether the process lives on for it; default: yes. */
  readonly holdsProcess?: boolean;
}

/** Where time comes from, so that tests need not wait for it. */
export interface Clock {
  /** Milliseconds from an arbitrary start on. Never goes back. */
  now(): number;
  /** Calls `act` once, after so long; after 24.8 days where that is longer. */
  after(ms: number, act: () => void, options?: TimerOptions): Timer;
  /** Calls `act` again and again. */
  every(ms: number, act: () => void, options?: TimerOptions): Timer;
}

/** Longest delay that Node's timers take; they take longer ones for none. */
const longestMs = 2 ** 31 - 1;

/** Time of the machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, act, options) => {
    const timer = setTimeout(act, Math.min(longestMs, Math.max(0, ms)));
    return toTimer(timer, () => clearTimeout(timer), options);
  },
  every: (ms, act, options) => {
    const timer = setInterval(act, Math.min(longestMs, ms));
    return toTimer(timer, () => clearInterval(timer), options);
  },
};

function toTimer(
  timer: NodeJS.Timeout,
  end: () => void,
  { holdsProcess = true }: TimerOptions = {},
): Timer {
  if (!holdsProcess) timer.unref();
  return { end, [Symbol.dispose]: end };
}
