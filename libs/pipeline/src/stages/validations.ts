import type { LoraAdapter } from '@emloc/checkpoint';
import type { Score } from '@emloc/tasks';

import type { ValidationPoint } from '../job/training-course.js';
import type { KeptValidations, ValidatedState } from '../job/training-store.js';

/** Validations of a training run, and the best of the states that were validated. */
export class Validations {
  readonly #curve: ValidationPoint[];
  #best: ValidatedState | null;

  constructor(
    /** Before the first step. */
    private readonly start: ValidatedState,
    kept: KeptValidations | null,
  ) {
    this.#curve = kept ? [...kept.curve] : [{ step: 0, loss: start.score.loss }];
    this.#best = kept?.best ?? null;
  }

  get curve(): readonly ValidationPoint[] {
    return this.#curve;
  }

  /** The first of several equals. */
  get best(): ValidatedState {
    return this.#best ?? this.start;
  }

  /** What is kept of them with a state of training; the start is known without. */
  get kept(): KeptValidations {
    return { curve: [...this.#curve], best: this.#best };
  }

  /** How many the last best state has had after it that were not better. */
  get withoutBetter(): number {
    return this.#curve.filter(({ step }) => step > this.best.step).length;
  }

  has(step: number): boolean {
    return this.#curve.some((point) => point.step === step);
  }

  /** The best so far, on another model: what comes is compared with that. */
  restart(score: Score): void {
    this.#best = { ...this.best, score };
  }

  /** @param adapter asked for where the state is the best so far */
  async add(step: number, score: Score, adapter: () => Promise<LoraAdapter>): Promise<void> {
    if (isBetter(score, this.best.score)) this.#best = { step, score, adapter: await adapter() };
    this.#curve.push({ step, loss: score.loss });
  }
}

/** A loss that is not finite is worse than any that is. */
function isBetter({ loss }: Score, { loss: than }: Score): boolean {
  return Number.isFinite(loss) && !(loss >= than);
}
