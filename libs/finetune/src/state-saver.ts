import type { TrainingCheckpoint, TrainingState } from './training-state.js';

/**
 * Saves states of a run, one at a time and in their order: while the run goes on, where a device
 * works beside the program; what fails is told by the next call.
 */
export class StateSaver {
  #saving: Promise<void> = Promise.resolve();
  #savedStep: number;

  /** @param start the step of the state that the run began with */
  constructor(
    private readonly checkpoint: TrainingCheckpoint | null,
    private readonly start: { readonly step: number; readonly isBeside: boolean },
  ) {
    this.#savedStep = start.step;
  }

  /** Whether a run of so many steps is saved after this one. */
  isDue(step: number, steps: number): boolean {
    const { everySteps } = this.checkpoint ?? { everySteps: Number.POSITIVE_INFINITY };
    return step % everySteps === 0 || (step === steps && Number.isFinite(everySteps));
  }

  /**
   * Begins to save the state after a step, unless it is saved.
   * @param stateOf brings it to the host, before the run goes on
   */
  async save(step: number, stateOf: () => Promise<TrainingState>): Promise<void> {
    const { checkpoint } = this;
    if (!checkpoint || this.#savedStep === step) return;
    await this.#saving;
    const state = await stateOf();
    this.#savedStep = step;
    this.#saving = checkpoint.save(state);
    if (!this.start.isBeside) await this.#saving;
    // Told later.
    else this.#saving.catch(() => undefined);
  }

  /** Resolves when everything is saved. */
  async end(): Promise<void> {
    await this.#saving;
  }
}
