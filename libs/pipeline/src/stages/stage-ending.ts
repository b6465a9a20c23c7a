import type { LoraAdapter } from '@emloc/checkpoint';
import { FinetuneError, type TrainResult } from '@emloc/finetune';

import type { StageName } from '../job/observer.js';
import type { ValidatedState } from '../job/training-store.js';
import { isFiniteAdapter } from './adapter-values.js';
import type { StageValidator } from './stage-validator.js';
import type { Validations } from './validations.js';

/** Chooses what is kept of a training that has ended. */
export class StageEnding {
  constructor(
    private readonly stage: Extract<StageName, 'train' | 'refine'>,
    private readonly start: LoraAdapter,
    private readonly validator: StageValidator,
  ) {}

  /** The best state of a run that has ended, which is validated last. */
  async best(result: TrainResult, validations: Validations): Promise<ValidatedState> {
    this.#assertBegun(result);
    const { steps, adapter } = result;
    if (!validations.has(steps) && this.#isFinite(adapter))
      await this.validator.add(validations, steps, adapter);
    return validations.best;
  }

  /**
   * The end of a run, or of one that cannot be kept, its start.
   * @throws FinetuneError FINETUNE_NON_FINITE where training cannot be kept
   */
  async ended(result: TrainResult): Promise<ValidatedState> {
    this.#assertBegun(result);
    const { adapter, steps, divergence } = result;
    if (this.#isFinite(adapter))
      return { step: steps, adapter, score: await this.validator.validate(adapter, steps) };
    if (this.stage === 'train')
      throw divergence?.error ?? new FinetuneError('FINETUNE_NON_FINITE', notFinite(steps));
    return { step: 0, adapter: this.start, score: { loss: Number.NaN } };
  }

  /** What is wrong with the last adapter; null: nothing. */
  notFinite({ adapter, steps }: TrainResult): string | null {
    return this.#isFinite(adapter) ? null : notFinite(steps);
  }

  /** A loss that is not finite before anything was learned is no matter of training. */
  #assertBegun({ steps, divergence }: TrainResult): void {
    if (this.stage === 'train' && steps === 0 && divergence && !Number.isFinite(divergence.loss))
      throw divergence.error;
  }

  #isFinite(adapter: LoraAdapter): boolean {
    return !this.validator.isReal || isFiniteAdapter(adapter);
  }
}

function notFinite(steps: number): string {
  return `the adapter after step ${steps} has values that are not finite`;
}
