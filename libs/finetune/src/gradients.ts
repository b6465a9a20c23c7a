import { at } from '@emloc/checked';
import type { RowSource } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { roundedRows } from './rounding.js';
import { runMicroBatch } from './step.js';
import { backwardPath, trainingOrder } from './walk.js';

export interface GradientInputs {
  readonly model: PagedModel;
  /** Trainable; its gradients are overwritten. */
  readonly adapter: DeviceAdapter;
  readonly source: RowSource;
  /** The rows of one batch. */
  readonly rows: readonly number[];
  /** See `launchBoundTokens`. Default: nothing is rounded. */
  readonly roundedTokens?: number;
  /** The last so many blocks before the loss keep their tensors. Default: none. */
  readonly keptBlocks?: number;
}

export interface LossAndGradients {
  /** Σ losses / Σ of their weights. */
  readonly loss: number;
  /** Of that loss, by module path: A (rank, in) and B (out, rank). */
  readonly gradients: ReadonlyMap<string, { readonly a: Float32Array; readonly b: Float32Array }>;
}

/** The loss of one batch and an adapter's gradients, as a training step takes them. */
export async function gradientsOf(inputs: GradientInputs): Promise<LossAndGradients> {
  const { model, adapter, rows, roundedTokens = 0, keptBlocks = 0 } = inputs;
  const source = roundedRows(inputs.source, roundedTokens);
  const { device, layout, pager } = model;
  const shape = source.shape(rows);
  using pass = new PassContext(model, [shape]);
  const path = backwardPath(layout, (block) => adapter.adaptedIn(block));
  const batch = await source.load(rows);
  const gradientScale = 1 / shape.lossWeight;
  adapter.zeroGradients();
  pager.schedule(trainingOrder(layout, path));
  const run = { model, pass, adapter, path, batch, gradientScale, keptBlocks };
  const losses = await (await runMicroBatch(run)).losses;
  const gradients = new Map<string, { a: Float32Array; b: Float32Array }>();
  for (const [index, name] of adapter.paths.entries()) {
    const download = (offset: number): Promise<Float32Array> =>
      device.download(at(adapter.gradients, 2 * index + offset)) as Promise<Float32Array>;
    gradients.set(name, { a: await download(0), b: await download(1) });
  }
  return { loss: losses.reduce((sum, value) => sum + value, 0) * gradientScale, gradients };
}
