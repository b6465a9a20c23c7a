import type { Repeats } from '@emloc/device';
import type { Batch, RowSource } from '@emloc/models';

import type { Anchors } from './anchors.js';
import type { BatchReader } from './batch-reader.js';
import type { DeviceAdapter } from './device-adapter.js';
import { dropoutOf, type LoraDropout } from './dropout.js';
import { FinetuneError } from './errors.js';
import { locateNonFinite } from './non-finite.js';
import type { Optimizer, OptimizerRecord } from './optimizer/optimizer.js';
import type { PagedModel, PassContext } from './paged-model.js';
import type { StepBatches } from './step-batches.js';
import { runMicroBatch } from './step.js';
import type { BackwardPath } from './walk.js';

/** An optimizer's state as training on another model left it. */
export interface CarriedOptimizer {
  readonly record: OptimizerRecord;
  /** Steps that it has behind it. */
  readonly steps: number;
}

/** What one optimizer step did. */
export interface StepReport {
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
  /** Whether loss and gradient are those on the original that the model emulates. */
  readonly anchor: boolean;
}

/** The step whose numbers were not finite, so that it was not made. */
export interface Divergence {
  /** FINETUNE_NON_FINITE naming step and layer */
  readonly error: FinetuneError;
  /** Of the step's batches, before it; where it is finite, the gradients were not. */
  readonly loss: number;
}

/** One step of a run. */
export interface StepInputs {
  readonly model: PagedModel;
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly optimizer: Optimizer;
  /** null: the gradients are those on the model. */
  readonly anchors: Anchors | null;
  readonly path: BackwardPath;
  readonly repeats: Repeats;
  readonly keptBlocks: number;
  /** On what the adapter sees, but at anchors; null or absent: none. */
  readonly dropout?: LoraDropout | null;
  readonly rows: RowSource;
  readonly batches: StepBatches;
  /** Of each micro-batch. */
  readonly stepRows: readonly (readonly number[])[];
  readonly reader: BatchReader;
  readonly index: number;
  readonly learningRate: number;
  readonly carried?: CarriedOptimizer | null;
  readonly signal?: AbortSignal;
}

/** What a step's rows have in all. */
interface StepSize {
  /** Σ of the losses' weights. */
  readonly weight: number;
  readonly items: number;
}

/** Makes a step, unless its numbers are not finite: then nothing has changed. */
export async function runStep(inputs: StepInputs): Promise<StepReport | Divergence> {
  const { adapter, optimizer, index, learningRate } = inputs;
  const started = performance.now();
  const size = sizeOf(inputs);
  const isAnchor = inputs.anchors?.isAnchor(index) ?? false;
  const losses = await takeGradients(inputs, size, isAnchor);
  const [squaredNorms, ...values] = await Promise.all([
    optimizer.measure(adapter.gradients),
    ...losses,
  ]);
  const gradientNorm = Math.sqrt(sumOf(squaredNorms));
  const loss = values.reduce((sum, each) => sum + sumOf(each), 0) / size.weight;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
    return { error: await diverged(inputs, { loss, gradientNorm, squaredNorms, isAnchor }), loss };
  const step = (inputs.carried?.steps ?? 0) + index + 1;
  await optimizer.update(adapter.gradients, { learningRate, step });
  adapter.refresh();
  return {
    step: index + 1,
    steps: inputs.batches.length,
    loss,
    learningRate,
    gradientNorm,
    tokens: size.items,
    seconds: secondsSince(started),
    anchor: isAnchor,
  };
}

function sizeOf({ rows, stepRows }: StepInputs): StepSize {
  const shapes = stepRows.map((numbers) => rows.shape(numbers));
  return {
    weight: shapes.reduce((sum, { lossWeight }) => sum + lossWeight, 0),
    items: shapes.reduce((sum, { items }) => sum + items, 0),
  };
}

/** Leaves the step's gradients in the adapter. @returns the losses of each micro-batch */
async function takeGradients(
  inputs: StepInputs,
  { weight }: StepSize,
  isAnchor: boolean,
): Promise<readonly (Promise<Float32Array> | Float32Array)[]> {
  const { adapter, anchors, pass, rows, stepRows, signal } = inputs;
  const gradientScale = 1 / weight;
  adapter.zeroGradients();
  const launched: Promise<Float32Array>[] = [];
  const { dropout: whole = null, ...launching } = inputs;
  for (const microBatch of stepRows.keys()) {
    const batch = await inputs.reader.next();
    const dropout = whole && !isAnchor ? dropoutOf(whole, inputs.index, microBatch) : undefined;
    const { losses } = await runMicroBatch({ ...launching, batch, dropout, gradientScale });
    losses.catch(() => undefined); // Awaited later; a later micro-batch may fail before.
    launched.push(losses);
  }
  if (!anchors) return launched;
  if (!isAnchor) {
    await anchors.correct();
    return launched;
  }
  await Promise.all(launched);
  return anchors.take({ pass, source: rows, rows: stepRows, gradientScale, signal });
}

/** The error of a step whose numbers are not finite. */
async function diverged(
  { model: trained, anchors, pass, adapter, rows, stepRows, index }: StepInputs,
  found: {
    readonly loss: number;
    readonly gradientNorm: number;
    readonly squaredNorms: Float32Array;
    readonly isAnchor: boolean;
  },
): Promise<FinetuneError> {
  const { loss, gradientNorm, squaredNorms, isAnchor } = found;
  const model = isAnchor && anchors ? anchors.original : trained;
  const batches: Batch[] = [];
  for (const numbers of stepRows) batches.push(await rows.load(numbers));
  const { name, layer } = await locateNonFinite({ model, pass, adapter, batches, squaredNorms });
  return new FinetuneError(
    'FINETUNE_NON_FINITE',
    `step ${index + 1}: loss ${loss}, gradient norm ${gradientNorm}: first seen in ${name}`,
    { layer },
  );
}

function sumOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

export function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
