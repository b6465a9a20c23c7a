import { setImmediate } from 'node:timers/promises';
import type { LoraAdapter } from '@emloc/checkpoint';
import { packBatch, type EncodedRow, type PackedBatch } from '@emloc/dataset';

import { DeviceAdapter } from './device-adapter.js';
import { longestSequence } from './device-batch.js';
import { FinetuneError } from './errors.js';
import { locateNonFinite } from './non-finite.js';
import { AdamwState, type AdamwConfig } from './optimizer.js';
import { openPass, trainingOrder, type PagedModel } from './paged-model.js';
import { learningRateAt, type LearningRateSchedule } from './schedule.js';
import { runMicroBatch } from './step.js';
import {
  assertStateFits,
  downloadState,
  type TrainingCheckpoint,
  type TrainingProgress,
  type TrainingState,
} from './training-state.js';

/** What one optimizer step did. */
interface StepReport {
  /** 1 for the first step. */
  readonly step: number;
  readonly steps: number;
  /** Σ NLL / Σ trained-on tokens of the step. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  /** Input tokens of the step. */
  readonly tokens: number;
  readonly seconds: number;
}

export interface TrainOptions {
  readonly model: PagedModel;
  /** Where training starts from. */
  readonly adapter: LoraAdapter;
  readonly rows: readonly EncodedRow[];
  /** Row indices per micro-batch per optimizer step. */
  readonly batches: readonly (readonly (readonly number[])[])[];
  readonly schedule: LearningRateSchedule;
  readonly optimizer: AdamwConfig;
  /** The last so many blocks keep their saved tensors; see `MicroBatch`. */
  readonly keptBlocks: number;
  /** A state of this run to go on from; null: from `adapter`. */
  readonly resume?: TrainingState | null;
  /** Where states are kept; none: nowhere. */
  readonly checkpoint?: TrainingCheckpoint;
  readonly onStep?: (report: StepReport) => void;
  readonly signal?: AbortSignal;
}

export interface TrainResult {
  readonly adapter: LoraAdapter;
  readonly steps: number;
  /** Input tokens over all steps. */
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
  const steps = batches.map((microBatches) =>
    microBatches.map((indices) => packBatch(selectRows(rows, indices))),
  );
  if (steps.length === 0)
    return { adapter: options.adapter, steps: 0, tokens: 0, seconds: 0, finalLoss: Number.NaN };
  if (resume) assertStateFits(resume, { adapter: options.adapter, steps: steps.length });
  const pass = openPass(model, longestOf(steps.flat()));
  let adapter: DeviceAdapter | null = null;
  let optimizer: AdamwState | null = null;
  try {
    adapter = DeviceAdapter.load(model.device, model.layout, resume?.adapter ?? options.adapter, {
      trainable: true,
    });
    optimizer = new AdamwState(model.device, adapter.parameters, options.optimizer);
    if (resume) optimizer.upload(resume);
    const { tokens, seconds, finalLoss } = await runSteps(
      { ...options, pass, adapter, optimizer },
      steps,
    );
    return { adapter: await adapter.download(), steps: steps.length, tokens, seconds, finalLoss };
  } finally {
    optimizer?.dispose();
    adapter?.dispose();
    pass.close();
  }
}

interface RunInputs extends Omit<TrainOptions, 'adapter' | 'optimizer'> {
  readonly pass: ReturnType<typeof openPass>;
  readonly adapter: DeviceAdapter;
  readonly optimizer: AdamwState;
}

async function runSteps(
  inputs: RunInputs,
  steps: readonly (readonly PackedBatch[])[],
): Promise<TrainingProgress> {
  const { model, adapter, schedule, resume, checkpoint, signal } = inputs;
  const started = performance.now() - (resume?.seconds ?? 0) * 1000;
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
  const remaining = steps.slice(progress.step);
  if (remaining.length > 0)
    model.pager.schedule(trainingOrder(model.layout, adapter.lowestBlock), remaining.flat().length);
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
        isSaved(progress.step, { steps: steps.length, everySteps: checkpoint.everySteps })
      )
        await save();
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
  readonly microBatches: readonly PackedBatch[];
  readonly index: number;
  readonly learningRate: number;
}

async function runStep(inputs: StepInputs): Promise<StepReport> {
  const { model, pass, adapter, optimizer, microBatches, index, learningRate, keptBlocks } = inputs;
  const started = performance.now();
  const targets = sumOf(microBatches, (batch) => batch.trainedTokens);
  adapter.zeroGradients();
  const launched: Promise<Float32Array>[] = [];
  for (const batch of microBatches) {
    const { losses } = await runMicroBatch({
      model,
      pass,
      adapter,
      batch,
      gradientScale: 1 / targets,
      keptBlocks,
    });
    losses.catch(() => undefined); // Awaited below; a later micro-batch may fail before.
    launched.push(losses);
  }
  const [squaredNorms, ...losses] = await Promise.all([
    optimizer.measure(adapter.gradients),
    ...launched,
  ]);
  const nll = losses.reduce(
    (total, values) => total + values.reduce((sum, value) => sum + value, 0),
    0,
  );
  const gradientNorm = Math.sqrt(squaredNorms.reduce((sum, value) => sum + value, 0));
  const loss = nll / targets;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    const { name, layer } = await locateNonFinite({
      model,
      pass,
      adapter,
      batches: microBatches,
      squaredNorms,
    });
    throw new FinetuneError(
      'FINETUNE_NON_FINITE',
      `step ${index + 1}: loss ${loss}, gradient norm ${gradientNorm}: first seen in ${name}`,
      { layer },
    );
  }
  optimizer.update(adapter.gradients, { learningRate, step: index + 1 });
  adapter.refresh();
  return {
    step: index + 1,
    steps: inputs.batches.length,
    loss,
    learningRate,
    gradientNorm,
    tokens: sumOf(microBatches, (batch) => batch.tokens),
    seconds: secondsSince(started),
  };
}

function selectRows(rows: readonly EncodedRow[], indices: readonly number[]): EncodedRow[] {
  return indices.map((index) => {
    const row = rows[index];
    if (!row)
      throw new FinetuneError(
        'FINETUNE_INVALID_OPTION',
        `batch names row ${index} of ${rows.length}`,
      );
    return row;
  });
}

function longestOf(batches: readonly PackedBatch[]): number {
  return batches.reduce((longest, { offsets }) => Math.max(longest, longestSequence(offsets)), 1);
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
