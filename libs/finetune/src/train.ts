import { setImmediate } from 'node:timers/promises';
import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import type { Batch, BatchShape, RowSource } from '@emloc/models';

import { BatchReader } from './batch-reader.js';
import { DeviceAdapter } from './device-adapter.js';
import { FinetuneError } from './errors.js';
import { locateNonFinite } from './non-finite.js';
import { createOptimizer, type OptimizerConfig } from './optimizer/create-optimizer.js';
import type { Optimizer } from './optimizer/optimizer.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { learningRateAt, type LearningRateSchedule } from './schedule.js';
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
  /** Row indices per micro-batch per optimizer step. */
  readonly batches: readonly (readonly (readonly number[])[])[];
  readonly schedule: LearningRateSchedule;
  readonly optimizer: OptimizerConfig;
  /** The last so many blocks keep their saved tensors; see `MicroBatch`. */
  readonly keptBlocks: number;
  /** A state of this run to go on from; null: from `adapter`. */
  readonly resume?: TrainingState | null;
  /** Where states are kept; none: nowhere. */
  readonly checkpoint?: TrainingCheckpoint;
  readonly onStep?: (report: StepReport) => void;
  /** What uses the model between steps; none: nothing. */
  readonly pause?: TrainingPause;
  readonly signal?: AbortSignal;
}

/** Uses the model, its pager and the adapter after every so many steps, without changing them. */
export interface TrainingPause {
  readonly everySteps: number;
  /** May give the pager another schedule. @param step 1 after the first step */
  run(step: number, adapter: DeviceAdapter): Promise<void>;
}

export interface TrainResult {
  readonly adapter: LoraAdapter;
  readonly steps: number;
  /** Items over all steps. */
  readonly tokens: number;
  readonly seconds: number;
  /** Loss of the last step. */
  readonly finalLoss: number;
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
  if (batches.length === 0)
    return { adapter: options.adapter, steps: 0, tokens: 0, seconds: 0, finalLoss: Number.NaN };
  const { adapter: first, optimizer: config } = options;
  if (resume)
    assertStateFits(resume, { adapter: first, steps: batches.length, optimizer: config.kind });
  const shapes = batches.map((microBatches) => microBatches.map((batch) => rows.shape(batch)));
  const { device, layout } = model;
  using pass = new PassContext(model, shapes.flat());
  using adapter = DeviceAdapter.load(device, layout, resume?.adapter ?? first, {
    trainable: true,
  });
  const { parameters } = adapter;
  using optimizer = createOptimizer(config, { device, parameters, start: first });
  if (resume) optimizer.upload(resume);
  const path = backwardPath(layout, (block) => adapter.adaptedIn(block));
  const run = { ...options, shapes, pass, adapter, optimizer, path };
  const { tokens, seconds, finalLoss } = await runSteps(run);
  return { adapter: await adapter.download(), steps: batches.length, tokens, seconds, finalLoss };
}

interface RunInputs extends Omit<TrainOptions, 'adapter' | 'optimizer'> {
  /** Of the micro-batches of each step. */
  readonly shapes: readonly (readonly BatchShape[])[];
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly optimizer: Optimizer;
  readonly path: BackwardPath;
}

async function runSteps(inputs: RunInputs): Promise<TrainingProgress> {
  const { model, batches, path, schedule, resume, checkpoint, pause, signal } = inputs;
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
  const remaining = batches.slice(progress.step);
  const scheduleRest = (): void => {
    const rest = batches.slice(progress.step).flat().length;
    if (rest > 0) model.pager.schedule(trainingOrder(model.layout, path), rest);
  };
  scheduleRest();
  const reader = new BatchReader(inputs.rows, remaining.flat());
  try {
    for (const microBatches of remaining) {
      // A synchronous device settles every promise in microtasks: without this turn no signal or
      // timer would ever be seen.
      await setImmediate();
      signal?.throwIfAborted();
      const index = progress.step;
      const report = await runStep({
        ...inputs,
        microBatches,
        reader,
        index,
        learningRate: learningRateAt(schedule, index),
      });
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
      if (pause && progress.step % pause.everySteps === 0) {
        const paused = performance.now();
        await pause.run(progress.step, inputs.adapter);
        scheduleRest();
        started += performance.now() - paused;
      }
    }
  } catch (error) {
    // The parameters change only once a step is sure: what is on the device is the state after the
    // last completed one.
    if (signal?.aborted) await save();
    throw error;
  }
  return progress;
}

function isSaved(
  step: number,
  { steps, everySteps }: { steps: number; everySteps: number },
): boolean {
  return step % everySteps === 0 || (step === steps && Number.isFinite(everySteps));
}

interface StepInputs extends RunInputs {
  readonly microBatches: readonly (readonly number[])[];
  readonly reader: BatchReader;
  readonly index: number;
  readonly learningRate: number;
}

async function runStep(inputs: StepInputs): Promise<StepReport> {
  const { adapter, optimizer, index, learningRate } = inputs;
  const started = performance.now();
  const shapes = at(inputs.shapes, index);
  const weight = sumOf(shapes, ({ lossWeight }) => lossWeight);
  adapter.zeroGradients();
  const launched: Promise<Float32Array>[] = [];
  for (const _ of inputs.microBatches) {
    const batch = await inputs.reader.next();
    const { losses } = await runMicroBatch({ ...inputs, batch, gradientScale: 1 / weight });
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
    throw await diverged(inputs, { loss, gradientNorm, squaredNorms });
  await optimizer.update(adapter.gradients, { learningRate, step: index + 1 });
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
  { model, pass, adapter, rows, microBatches, index }: StepInputs,
  {
    loss,
    gradientNorm,
    squaredNorms,
  }: { loss: number; gradientNorm: number; squaredNorms: Float32Array },
): Promise<FinetuneError> {
  const batches: Batch[] = [];
  for (const numbers of microBatches) batches.push(await rows.load(numbers));
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
