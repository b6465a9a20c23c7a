import { resolve } from 'node:path';
import type { MemoryBudget } from '@emloc/device';

import type { MethodChoice } from '../plan/method-choice.js';
import type { EmulatorReport, JobResult, ValidationLosses } from './job-result.js';
import type { Job } from './job.js';
import { countsOf } from './report.js';
import type { StageReport } from './stage-clock.js';
import type { Ending } from './training-course.js';

/**
 * The outcome of `tune` as it is printed. Losses are Σ NLL / Σ trained-on tokens of the validation
 * split.
 */
export interface TuneReport {
  readonly job: string;
  /** Of the rows' text, as `YYYY-MM-DD`. */
  readonly date: string;
  /** Rows of the data file. */
  readonly sourceRows: number;
  readonly droppedRows: number;
  readonly truncatedRows: number;
  /** The adapter's folder. */
  readonly adapter: string;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  readonly stages: readonly StageReport[];
  readonly validation: ValidationLosses;
  readonly correction: {
    readonly chosen: string;
    readonly scores: Readonly<Record<string, number>>;
  } | null;
  readonly emulator: Pick<
    EmulatorReport,
    'parameters' | 'originalParameters' | 'worstLayer'
  > | null;
  readonly train: {
    readonly steps: number;
    readonly tokens: number;
    readonly tokensPerSecond: number;
    readonly finalLoss: number;
  };
  readonly ending: Ending;
  readonly courses: JobResult['courses'];
  /** What a plan has decided; null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
}

/** @param parts the budget that the job ran in, what a plan had decided, what its stages took */
export function reportOf(
  job: Job,
  result: JobResult,
  {
    budget,
    choice,
    stages,
  }: { budget: MemoryBudget; choice: MethodChoice | null; stages: readonly StageReport[] },
): TuneReport {
  const { train, emulator } = result;
  return {
    job: job.id,
    date: job.options.date,
    ...countsOf(job.report),
    adapter: resolve(job.options.out),
    budgetBytes: budget.totalBytes,
    peakDeviceBytes: budget.peakBytes,
    stages,
    validation: result.validation,
    correction: result.correction,
    emulator: emulator && {
      parameters: emulator.parameters,
      originalParameters: emulator.originalParameters,
      worstLayer: emulator.worstLayer,
    },
    train: {
      steps: train.steps,
      tokens: train.tokens,
      tokensPerSecond: train.tokens / train.seconds,
      finalLoss: train.finalLoss,
    },
    ending: result.ending,
    courses: result.courses,
    choice,
  };
}
