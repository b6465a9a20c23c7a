import { RpcError, toRpcError } from '@emloc/rpc';
import { isServiceError } from '@emloc/service';
import { systemClock, type Clock, type Timer } from '@emloc/time';

import type { EngineStep } from './engine.js';

/** How long a step may take, and the option that is to blame when it takes longer or fails. */
interface StepRule {
  readonly mostMs: number;
  readonly field: string | null;
}

/**
 * Reading the headers of a checkpoint takes a moment; a pattern that a client made up may take for
 * ever.
 */
const rules: Readonly<Record<EngineStep, StepRule>> = Object.freeze({
  options: { mostMs: 10_000, field: null },
  model: { mostMs: 20_000, field: 'model' },
  targets: { mostMs: 2000, field: 'targets' },
  initAdapter: { mostMs: 20_000, field: 'init_adapter' },
  rank: { mostMs: 2000, field: 'rank' },
  ratios: { mostMs: 2000, field: 'ratios' },
  data: { mostMs: 20_000, field: 'data' },
  validation: { mostMs: 20_000, field: 'validation' },
  plan: { mostMs: 120_000, field: null },
});

/**
 * A step that takes longer leaves the processor to who is served: mostly it is a pattern that will
 * not end. A plan times the device, and keeps what it has of it.
 */
const quickMs = 500;

/** How long the thread may take to begin, where the processor is busy. */
const startMs = 60_000;

/** The limits of one task, whose steps it is told. */
export class StepWatch {
  readonly #passed = new AbortController();
  #timer: Timer;
  #slowTimer: Timer | null = null;
  #step: EngineStep | null = null;
  #isSlow = false;

  /** @param onSlow a step takes longer than most do */
  constructor(
    private readonly onSlow: () => void,
    private readonly clock: Clock = systemClock,
  ) {
    this.#timer = this.#startTimer(startMs);
  }

  /** Aborts when a step takes too long, with the RpcError INVALID_ARGUMENT that the caller gets. */
  get passed(): AbortSignal {
    return this.#passed.signal;
  }

  /** The step that the task is in; null: it has not begun. */
  get step(): EngineStep | null {
    return this.#step;
  }

  /** Whether a step was slow. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  begin(step: EngineStep): void {
    this.end();
    this.#step = step;
    this.#timer = this.#startTimer(rules[step].mostMs);
    if (step !== 'plan') this.#slowTimer = this.clock.after(quickMs, () => this.#slow());
  }

  end(): void {
    this.#timer.end();
    this.#slowTimer?.end();
  }

  #slow(): void {
    this.#isSlow = true;
    this.onSlow();
  }

  #startTimer(mostMs: number): Timer {
    return this.clock.after(mostMs, () => this.#passed.abort(tooLong(this.#step, mostMs)));
  }
}

function tooLong(step: EngineStep | null, mostMs: number): RpcError {
  if (step === null)
    return new RpcError('UNAVAILABLE', `no thread began within ${mostMs / 1000} s`, {
      reason: 'ENGINE_BUSY',
      retryDelayMs: 1000,
    });
  return refused(step, 'STEP_TOO_LONG', `${what(step)} took more than ${mostMs / 1000} s`);
}

function what(step: EngineStep): string {
  return step === 'targets' || step === 'ratios'
    ? `matching ${step} with the names of the model's layers`
    : step === 'plan'
      ? 'planning'
      : `checking ${step}`;
}

/**
 * The field that an error is about, as a caller may see it: what the options are to blame for is
 * INVALID_ARGUMENT, a thread that ran out of memory too; one that ended otherwise can be tried
 * again.
 */
export function errorOfStep(error: unknown, step: EngineStep | null, mostMib: number): unknown {
  if (isServiceError(error, 'WORKER_FAILED') || isServiceError(error, 'WORKER_CLOSED')) {
    const { code } = (error.cause ?? {}) as { readonly code?: unknown };
    if (step !== null && code === 'ERR_WORKER_OUT_OF_MEMORY')
      return refused(step, 'STEP_TOO_LARGE', `${what(step)} took more than ${mostMib} MiB`);
    return new RpcError('UNAVAILABLE', 'the thread of the engine has ended', {
      reason: 'ENGINE_ENDED',
      retryDelayMs: 1000,
      cause: error,
    });
  }
  const { code, message, reason, metadata } = toRpcError(error);
  const isOfOptions = code === 'INVALID_ARGUMENT' || code === 'NOT_FOUND';
  return step !== null && isOfOptions
    ? refused(step, reason, message, { metadata, cause: error })
    : error;
}

function refused(
  step: EngineStep,
  reason: string,
  description: string,
  more: { readonly metadata?: RpcError['metadata']; readonly cause?: unknown } = {},
): RpcError {
  const { field } = rules[step];
  return new RpcError('INVALID_ARGUMENT', description, {
    reason,
    fieldViolations: field === null ? [] : [{ field, description }],
    ...more,
  });
}
