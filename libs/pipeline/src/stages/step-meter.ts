import type { MemoryBudget, PeakScope } from '@emloc/device';

/** What a step took of the device. */
export interface StepUse {
  /** In use after the step. */
  readonly deviceBytes: number;
  /** Most that was in use during the step. */
  readonly peakDeviceBytes: number;
  readonly budgetBytes: number;
  /** Seconds in which the step waited for weights. */
  readonly stallSeconds: number;
}

/** Measures steps one after another, without what comes between them. */
export class StepMeter implements Disposable {
  #scope: PeakScope;
  #stallSeconds: number;

  constructor(
    private readonly budget: MemoryBudget,
    /** In which weights were waited for, until now. */
    private readonly waited: () => number,
  ) {
    this.#scope = budget.openPeakScope();
    this.#stallSeconds = waited();
  }

  /** What was used since the step before, or since the last `restart`. */
  take(): StepUse {
    const peakDeviceBytes = this.#scope.close();
    const stallSeconds = this.waited() - this.#stallSeconds;
    this.restart();
    const { inUseBytes: deviceBytes, totalBytes: budgetBytes } = this.budget;
    return { deviceBytes, peakDeviceBytes, budgetBytes, stallSeconds };
  }

  restart(): void {
    this.#scope.close();
    this.#scope = this.budget.openPeakScope();
    this.#stallSeconds = this.waited();
  }

  [Symbol.dispose](): void {
    this.#scope.close();
  }
}
