import { setImmediate } from 'node:timers/promises';
import type { LoraAdapter } from '@emloc/checkpoint';
import { repeatsOn, type Repeats } from '@emloc/device';
import type { Batch, RowSource } from '@emloc/models';

import { BatchReader } from './batch-reader.js';
import { DeviceAdapter } from './device-adapter.js';
import { dropoutOf, type LoraDropout } from './dropout.js';
import { FinetuneError } from './errors.js';
import { locateNonFinite } from './non-finite.js';
import { createOptimizer, type OptimizerConfig } from './optimizer/create-optimizer.js';
import type { Optimizer, OptimizerRecord } from './optimizer/optimizer.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { learningRateAt, type LearningRateSchedule } from './schedule.js';
import {
  batchesOf,
  countMicroBatches,
  coveringBatches,
  microBatches,
  type StepBatches,
} from './step-batches.js';
import { runMicroBatch } from './step.js';
import {
  assertStateFits,
  downloadState,
  type TrainingCheckpoint,
  type TrainingProgress,
  type TrainingState,
} from './training-state.js';
import { backwardPath, trainingOrder, type BackwardPath } from './walk.js';

/** What one optimizer step did. */
interface StepReport {
  /** 1 for the first step. */
  readonly step: number;
  readonly steps: number;
  /** Σ losses / Σ of their weights, over the step. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  /** Items of the step's rows, tokens of a text. */
  readonly tokens: number;
  readonly seconds: number;
}

export interface TrainOptions {
  readonly model: PagedModel;
  /** Where training starts from: the same for a run that goes on from a state. */
  readonly adapter: LoraAdapter;
  readonly rows: RowSource;
  /** Numbers of rows. */
  readonly batches: StepBatches;
  /** Several: one after another. */
  readonly schedule: LearningRateSchedule | readonly LearningRateSchedule[];
  readonly optimizer: OptimizerConfig;
  /** What the optimizer goes on with; null or absent: nothing. */
  readonly carried?: CarriedOptimizer | null;
  /** Whether the optimizer's last state is part of the result. Default: no. */
  readonly keepsOptimizer?: boolean;
  /** The last so many blocks keep their saved tensors; see `MicroBatch`. */
  readonly keptBlocks: number;
  /** On what the adapter sees; null or absent: none. */
  readonly dropout?: LoraDropout | null;
  /** A state of this run to go on from; null: from `adapter`. */
  readonly resume?: TrainingState | null;
  /** Where states are kept; none: nowhere. */
  readonly checkpoint?: TrainingCheckpoint;
  readonly onStep?: (report: StepReport) => void;
  /** What uses the model between steps; none: nothing. */
  readonly pause?: TrainingPause;
  /**
   * Asked before each step, once what follows the step before is done: whether the run ends there.
   * Default: it does not.
   */
  readonly isOver?: (step: number) => boolean;
  /**
   * Where a step's numbers are not finite: an error, or the end of the run, whose adapter is that
   * of the steps before. Default: an error
   */
  readonly onDivergence?: 'throw' | 'end';
  readonly signal?: AbortSignal;
}

/** An optimizer's state as training on another model left it. */
export interface CarriedOptimizer {
  readonly record: OptimizerRecord;
  /** Steps that it has behind it. */
  readonly steps: number;
}

/**
 * Uses the model, its pager and the adapter after some steps. It may replace what the pager reads
 * and the adapter's values, in the same way where a run goes on from a state.
 */
export interface TrainingPause {
  /**
   * Also asked where a run goes on from a state, which may have been kept before its pause.
   * @param step 1 after the first step
   */
  isDue(step: number): boolean;
  /** May give the pager another schedule. */
  run(step: number, adapter: DeviceAdapter): Promise<void>;
}

/** The step whose numbers were not finite, so that it was not made. */
interface Divergence {
  /** FINETUNE_NON_FINITE naming step and layer */
  readonly error: FinetuneError;
  /** Of the step's batches, before it; where it is finite, the gradients were not. */
  readonly loss: number;
}

export interface TrainResult {
  readonly adapter: LoraAdapter;
  /** Where it was asked for, and there was a step. */
  readonly optimizer: OptimizerRecord | null;
  /** Completed ones. */
  readonly steps: number;
  /** Items over all steps. */
  readonly tokens: number;
  readonly seconds: number;
  /** Loss of the last step. */
  readonly finalLoss: number;
  /** Why the run ended before its last step; null: it did not. */
  readonly divergence: Divergence | null;
}

/**
 * Trains a LoRA adapter on a paged model, original or emulator. Equal inputs give equal bits,
 * whatever the budget, in one run or in several that go on from each other's states. When the
 * signal is aborted, the state after the last completed step is saved.
 * @throws FinetuneError FINETUNE_NON_FINITE naming step and layer, FINETUNE_INVALID_STATE;
 * OutOfBudgetError; the signal's reason when aborted
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { model, rows, batches } = options;
  const resume = options.resume ?? null;
  if (batches.length === 0) return { adapter: options.adapter, ...notBegun };
  const { adapter: first, optimizer: config } = options;
  if (resume)
    assertStateFits(resume, { adapter: first, steps: batches.length, optimizer: config.kind });
  const { device, layout } = model;
  using pass = PassContext.of(model, { source: rows, rows: coveringBatches(batches) });
  using adapter = DeviceAdapter.load(device, layout, resume?.adapter ?? first, {
    trainable: true,
  });
  const { parameters } = adapter;
  using optimizer = createOptimizer(config, { device, parameters, start: first });
  const record = resume ?? options.carried?.record;
  if (record) optimizer.upload(record);
  const path = backwardPath(layout, (block) => adapter.adaptedIn(block));
  using repeats = repeatsOn(device);
  const run = { ...options, pass, adapter, optimizer, path, repeats };
  const { step: steps, ...outcome } = await runSteps(run);
  const kept = options.keepsOptimizer ? await optimizer.download() : null;
  return { adapter: await adapter.download(), optimizer: kept, steps, ...outcome };
}

const notBegun = Object.freeze({
  optimizer: null,
  ...{ steps: 0, tokens: 0, seconds: 0, finalLoss: Number.NaN, divergence: null },
});

interface RunInputs extends Omit<TrainOptions, 'adapter' | 'optimizer'> {
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly optimizer: Optimizer;
  readonly path: BackwardPath;
  readonly repeats: Repeats;
}

async function runSteps(
  inputs: RunInputs,
): Promise<TrainingProgress & Pick<TrainResult, 'divergence'>> {
  const { model, batches, path, schedule, resume, checkpoint, signal } = inputs;
  let started = performance.now() - (resume?.seconds ?? 0) * 1000;
  let progress: TrainingProgress = {
    step: resume?.step ?? 0,
    tokens: resume?.tokens ?? 0,
    seconds: secondsSince(started),
    finalLoss: resume?.finalLoss ?? Number.NaN,
  };
  let savedStep = progress.step;
  const save = async (): Promise<void> => {
    if (!checkpoint || savedStep === progress.step) return;
    await checkpoint.save(await downloadState(progress, inputs));
    savedStep = progress.step;
  };
  const scheduleRest = (): void => {
    const rest = countMicroBatches(batches, progress.step);
    if (rest > 0) model.pager.schedule(trainingOrder(model.layout, path), rest);
  };
  const pause = async (): Promise<void> => {
    if (!inputs.pause?.isDue(progress.step)) return;
    const paused = performance.now();
    await inputs.pause.run(progress.step, inputs.adapter);
    started += performance.now() - paused;
  };
  if (resume) await pause();
  scheduleRest();
  const reader = new BatchReader(inputs.rows, microBatches(batches, progress.step));
  try {
    while (progress.step < batches.length && !inputs.isOver?.(progress.step)) {
      // A synchronous device settles every promise in microtasks: without this turn no signal or
      // timer would ever be seen.
      await setImmediate();
      signal?.throwIfAborted();
      const index = progress.step;
      const report = await runStep({
        ...inputs,
        stepRows: batchesOf(batches, index),
        reader,
        index,
        learningRate: learningRateAt(schedule, index),
      });
      if ('error' in report) {
        if (inputs.onDivergence !== 'end') throw report.error;
        return { ...progress, divergence: report };
      }
      progress = {
        step: report.step,
        tokens: progress.tokens + report.tokens,
        seconds: secondsSince(started),
        finalLoss: report.loss,
      };
      inputs.onStep?.(report);
      if (
        checkpoint &&
        isSaved(progress.step, { steps: batches.length, everySteps: checkpoint.everySteps })
      )
        await save();
      if (inputs.pause?.isDue(progress.step)) {
        await pause();
        scheduleRest();
      }
    }
  } catch (error) {
    // The parameters change only once a step is sure: what is on the device is the state after the
    // last completed one.
    if (signal?.aborted) await save();
    throw error;
  }
  return { ...progress, divergence: null };
}

function isSaved(
  step: number,
  { steps, everySteps }: { steps: number; everySteps: number },
): boolean {
  return step % everySteps === 0 || (step === steps && Number.isFinite(everySteps));
}

interface StepInputs extends RunInputs {
  /** Of each micro-batch. */
  readonly stepRows: readonly (readonly number[])[];
  readonly reader: BatchReader;
  readonly index: number;
  readonly learningRate: number;
}

async function runStep(inputs: StepInputs): Promise<StepReport | Divergence> {
  const { adapter, optimizer, index, learningRate, rows, stepRows } = inputs;
  const started = performance.now();
  const shapes = stepRows.map((numbers) => rows.shape(numbers));
  const weight = sumOf(shapes, ({ lossWeight }) => lossWeight);
  adapter.zeroGradients();
  const launched: Promise<Float32Array>[] = [];
  const { dropout: whole = null, ...launching } = inputs;
  for (const microBatch of stepRows.keys()) {
    const batch = await inputs.reader.next();
    const dropout = whole ? dropoutOf(whole, index, microBatch) : undefined;
    const { losses } = await runMicroBatch({
      ...launching,
      ...{ batch, dropout, gradientScale: 1 / weight },
    });
    losses.catch(() => undefined); // Awaited below; a later micro-batch may fail before.
    launched.push(losses);
  }
  const [squaredNorms, ...losses] = await Promise.all([
    optimizer.measure(adapter.gradients),
    ...launched,
  ]);
  const total = losses.reduce(
    (sum, values) => sum + values.reduce((part, value) => part + value, 0),
    0,
  );
  const gradientNorm = Math.sqrt(squaredNorms.reduce((sum, value) => sum + value, 0));
  const loss = total / weight;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
    return { error: await diverged(inputs, { loss, gradientNorm, squaredNorms }), loss };
  const step = (inputs.carried?.steps ?? 0) + index + 1;
  await optimizer.update(adapter.gradients, { learningRate, step });
  adapter.refresh();
  return {
    step: index + 1,
    steps: inputs.batches.length,
    loss,
    learningRate,
    gradientNorm,
    tokens: sumOf(shapes, ({ items }) => items),
    seconds: secondsSince(started),
  };
}

/** The error of a step whose numbers are not finite. */
async function diverged(
  { model, pass, adapter, rows, stepRows, index }: StepInputs,
  {
    loss,
    gradientNorm,
    squaredNorms,
  }: { loss: number; gradientNorm: number; squaredNorms: Float32Array },
): Promise<FinetuneError> {
  const batches: Batch[] = [];
  for (const numbers of stepRows) batches.push(await rows.load(numbers));
  const { name, layer } = await locateNonFinite({ model, pass, adapter, batches, squaredNorms });
  return new FinetuneError(
    'FINETUNE_NON_FINITE',
    `step ${index + 1}: loss ${loss}, gradient norm ${gradientNorm}: first seen in ${name}`,
    { layer },
  );
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
