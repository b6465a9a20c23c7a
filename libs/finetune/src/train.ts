import { setImmediate } from 'node:timers/promises';
import type { LoraAdapter } from '@emloc/checkpoint';
import { repeatsOn } from '@emloc/device';
import type { RowSource } from '@emloc/models';

import { Anchors, type AnchorOptions } from './anchors.js';
import { BatchReader } from './batch-reader.js';
import { DeviceAdapter } from './device-adapter.js';
import type { LoraDropout } from './dropout.js';
import { createOptimizer, type OptimizerConfig } from './optimizer/create-optimizer.js';
import type { OptimizerRecord } from './optimizer/optimizer.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { roundedRows } from './rounding.js';
import { learningRateAt, type LearningRateSchedule } from './schedule.js';
import { StateSaver } from './state-saver.js';
import {
  batchesOf,
  countMicroBatches,
  coveringBatches,
  microBatches,
  type StepBatches,
} from './step-batches.js';
import {
  assertStateFits,
  downloadState,
  type TrainingCheckpoint,
  type TrainingProgress,
  type TrainingState,
} from './training-state.js';
import {
  runStep,
  secondsSince,
  type CarriedOptimizer,
  type Divergence,
  type StepInputs,
  type StepReport,
} from './training-step.js';
import { backwardPath, trainingOrder } from './walk.js';

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
  /** Where the model is an emulator whose gradients are anchored; null or absent: they are not. */
  readonly anchors?: AnchorOptions | null;
  /** The last so many blocks keep their saved tensors; see `MicroBatch`. */
  readonly keptBlocks: number;
  /**
   * Batches of texts of at most so many tokens are rounded up to few sizes, so that what is
   * launched for them comes again; see `launchBoundTokens`. Default: none.
   */
  readonly roundedTokens?: number;
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
    assertStateFits(resume, {
      ...{ adapter: first, steps: batches.length, optimizer: config.kind },
      isAnchored: Boolean(options.anchors),
    });
  const { device, layout } = model;
  using pass = PassContext.of(model, { source: rows, rows: coveringBatches(batches) });
  using adapter = DeviceAdapter.load(device, layout, resume?.adapter ?? first, {
    trainable: true,
  });
  const { parameters } = adapter;
  using optimizer = createOptimizer(config, { device, parameters, start: first });
  const record = resume ?? options.carried?.record;
  if (record) optimizer.upload(record);
  using anchors = options.anchors ? new Anchors(options.anchors, adapter) : null;
  if (resume?.anchor) anchors?.upload(resume.anchor);
  const path = backwardPath(layout, (block) => adapter.adaptedIn(block));
  using repeats = repeatsOn(device);
  const run = { ...options, pass, adapter, optimizer, anchors, path, repeats };
  const { step: steps, ...outcome } = await runSteps(run);
  const kept = options.keepsOptimizer ? await optimizer.download() : null;
  return { adapter: await adapter.download(), optimizer: kept, steps, ...outcome };
}

const notBegun = Object.freeze({
  optimizer: null,
  ...{ steps: 0, tokens: 0, seconds: 0, finalLoss: Number.NaN, divergence: null },
});

type RunInputs = Omit<TrainOptions, 'adapter' | 'optimizer' | 'anchors'> &
  Omit<StepInputs, 'stepRows' | 'reader' | 'index' | 'learningRate'>;

async function runSteps(
  inputs: RunInputs,
): Promise<TrainingProgress & Pick<TrainResult, 'divergence'>> {
  const { model, batches, path, schedule, resume, signal } = inputs;
  let started = performance.now() - (resume?.seconds ?? 0) * 1000;
  let progress: TrainingProgress = {
    step: resume?.step ?? 0,
    tokens: resume?.tokens ?? 0,
    seconds: secondsSince(started),
    finalLoss: resume?.finalLoss ?? Number.NaN,
  };
  const saver = new StateSaver(inputs.checkpoint ?? null, {
    step: progress.step,
    isBeside: model.device.profile.overlapsCopies ?? false,
  });
  const save = (): Promise<void> =>
    saver.save(progress.step, () => downloadState(progress, inputs));
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
  const rounded = roundedRows(inputs.rows, inputs.roundedTokens ?? 0);
  const reader = new BatchReader(rounded, microBatches(batches, progress.step));
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
      if (saver.isDue(progress.step, batches.length)) await save();
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
  } finally {
    await saver.end();
  }
  return { ...progress, divergence: null };
}
