import type { MemoryBudget, MemoryCategory, PeakScope } from '@emloc/device';

import { stageNames, type JobObserver, type StageName } from './observer.js';

/** Seconds and peak device memory of a stage. */
export interface StageReport {
  readonly name: StageName;
  readonly seconds: number;
  readonly peakDeviceBytes: number;
}

export interface StageClockOptions {
  readonly observer?: JobObserver;
  /** Categories that peaks leave out. */
  readonly exclude?: readonly MemoryCategory[];
  /** Told whenever a stage goes on (`enter`) and stops (`leave`). */
  readonly onTurn?: (turn: 'enter' | 'leave', stage: StageName) => void;
}

interface Entry {
  seconds: number;
  peakBytes: number;
}

/**
 * Books time and memory to stages, which may take turns (a block is calibrated, then emulated, then
 * the next).
 */
export class StageClock implements Disposable {
  readonly #entries = new Map<StageName, Entry>();
  #current: { stage: StageName; started: number; scope: PeakScope } | null = null;

  constructor(
    private readonly budget: MemoryBudget,
    private readonly options: StageClockOptions = {},
  ) {}

  enter(stage: StageName): void {
    this.leave();
    if (!this.#entries.has(stage)) {
      this.#entries.set(stage, { seconds: 0, peakBytes: 0 });
      this.options.observer?.({ type: 'stage', stage, state: 'started' });
    }
    this.options.onTurn?.('enter', stage);
    this.#current = {
      stage,
      started: performance.now(),
      scope: this.budget.openPeakScope(this.options.exclude),
    };
  }

  leave(): void {
    const current = this.#current;
    if (!current) return;
    this.#current = null;
    const entry = this.#entries.get(current.stage);
    const peakBytes = current.scope.close();
    if (!entry) return;
    entry.seconds += (performance.now() - current.started) / 1000;
    entry.peakBytes = Math.max(entry.peakBytes, peakBytes);
    this.options.onTurn?.('leave', current.stage);
  }

  [Symbol.dispose](): void {
    this.leave();
  }

  /** Finishes these stages when it is disposed. */
  during(...stages: readonly StageName[]): Disposable {
    return { [Symbol.dispose]: () => this.finish(...stages) };
  }

  /** Marks stages as over: they are not entered again. */
  finish(...stages: readonly StageName[]): void {
    this.leave();
    for (const stage of stages)
      if (this.#entries.has(stage))
        this.options.observer?.({ type: 'stage', stage, state: 'finished' });
  }

  reports(): readonly StageReport[] {
    return stageNames.flatMap((name) => {
      const entry = this.#entries.get(name);
      return entry ? [{ name, seconds: entry.seconds, peakDeviceBytes: entry.peakBytes }] : [];
    });
  }
}
