import type { MemoryBudget, PeakScope } from '@emloc/device';
import type { Pager } from '@emloc/weight-pager';

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
    private readonly pager: Pick<Pager, 'statistics'>,
  ) {
    this.#scope = budget.openPeakScope();
    this.#stallSeconds = pager.statistics.stallSeconds;
  }

  /** What was used since the step before, or since the last `restart`. */
  take(): StepUse {
    const peakDeviceBytes = this.#scope.close();
    const stallSeconds = this.pager.statistics.stallSeconds - this.#stallSeconds;
    this.restart();
    const { inUseBytes: deviceBytes, totalBytes: budgetBytes } = this.budget;
    return { deviceBytes, peakDeviceBytes, budgetBytes, stallSeconds };
  }

  restart(): void {
    this.#scope.close();
    this.#scope = this.budget.openPeakScope();
    this.#stallSeconds = this.pager.statistics.stallSeconds;
  }

  [Symbol.dispose](): void {
    this.#scope.close();
  }
}
