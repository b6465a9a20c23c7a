import { setImmediate } from 'node:timers/promises';
import { type EncodedRow, packBatch, type PackedBatch } from '@emloc/dataset';
import { DeviceAdapter } from './device-adapter.js';
import { longestSequence } from './device-batch.js';
import { FinetuneError } from './errors.js';
import { locateNonFinite } from './non-finite.js';
import { type AdamwConfig, AdamwState } from './optimizer.js';
import { openPass, type PagedModel, trainingOrder } from './paged-model.js';
import { learningRateAt, type LearningRateSchedule } from './schedule.js';
import { runMicroBatch } from './step.js';
import type { LoraAdapter } from '@emloc/checkpoint';

/** What one optimizer step did. */
export interface StepReport {
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
 * Trains a LoRA adapter on a paged model, original or emulator. Equal inputs give equal bits, whatever the budget.
 * @throws FinetuneError FINETUNE_NON_FINITE naming step and layer; OutOfBudgetError; the signal's reason when aborted
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { model, rows, batches, schedule } = options;
  const started = performance.now();
  const steps = batches.map((microBatches) => microBatches.map((indices) => packBatch(selectRows(rows, indices))));
  if (steps.length === 0) return { adapter: options.adapter, steps: 0, tokens: 0, seconds: 0, finalLoss: Number.NaN };
  const pass = openPass(model, longestOf(steps.flat()));
  let adapter: DeviceAdapter | null = null;
  let optimizer: AdamwState | null = null;
  try {
    adapter = DeviceAdapter.load(model.device, model.layout, options.adapter, { trainable: true });
    optimizer = new AdamwState(model.device, adapter.parameters, options.optimizer);
    model.pager.schedule(trainingOrder(model.layout, adapter.lowestBlock), steps.flat().length);
    let tokens = 0;
    let finalLoss = Number.NaN;
    for (const [index, microBatches] of steps.entries()) {
      // A synchronous device settles every promise in microtasks: without this turn no signal or timer would ever be seen.
      await setImmediate();
      options.signal?.throwIfAborted();
      const report = await runStep({ ...options, pass, adapter, optimizer, microBatches, index, learningRate: learningRateAt(schedule, index) });
      tokens += report.tokens;
      finalLoss = report.loss;
      options.onStep?.(report);
    }
    return { adapter: await adapter.download(), steps: steps.length, tokens, seconds: secondsSince(started), finalLoss };
  } finally {
    optimizer?.dispose();
    adapter?.dispose();
    pass.close();
  }
}

interface StepInputs extends Omit<TrainOptions, 'adapter' | 'optimizer'> {
  readonly pass: ReturnType<typeof openPass>;
  readonly adapter: DeviceAdapter;
  readonly optimizer: AdamwState;
  readonly microBatches: readonly PackedBatch[];
  readonly index: number;
  readonly learningRate: number;
}

async function runStep(inputs: StepInputs): Promise<StepReport> {
  const { model, pass, adapter, optimizer, microBatches, index, learningRate, keptBlocks } = inputs;
  const started = performance.now();
  const targets = sumOf(microBatches, (batch) => batch.trainedTokens);
  adapter.zeroGradients();
  let nll = 0;
  for (const batch of microBatches) {
    const losses = await runMicroBatch({ model, pass, adapter, batch, gradientScale: 1 / targets, keptBlocks });
    nll += losses.reduce((sum, loss) => sum + loss, 0);
  }
  const squaredNorms = await optimizer.measure(adapter.gradients);
  const gradientNorm = Math.sqrt(squaredNorms.reduce((sum, value) => sum + value, 0));
  const loss = nll / targets;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
    const where = await locateNonFinite({ model, pass, adapter, batches: microBatches, squaredNorms });
    throw new FinetuneError('FINETUNE_NON_FINITE', `step ${index + 1}: loss ${loss}, gradient norm ${gradientNorm}: first seen in ${where}`);
  }
  optimizer.update(adapter.gradients, { learningRate, step: index + 1 });
  adapter.refresh();
  return {
    step: index + 1, steps: inputs.batches.length, loss, learningRate, gradientNorm,
    tokens: sumOf(microBatches, (batch) => batch.tokens), seconds: secondsSince(started),
  };
}

function selectRows(rows: readonly EncodedRow[], indices: readonly number[]): EncodedRow[] {
  return indices.map((index) => {
    const row = rows[index];
    if (!row) throw new FinetuneError('FINETUNE_INVALID_OPTION', `batch names row ${index} of ${rows.length}`);
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
