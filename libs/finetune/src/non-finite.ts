import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import { lossBlock, type Batch } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import type { PagedModel, PassContext } from './paged-model.js';
import { inferenceOrder, StreamState, visitBlock } from './walk.js';

interface Suspects {
  readonly model: PagedModel;
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly batches: readonly Batch[];
  /** Σ g² per parameter of the step that went wrong. */
  readonly squaredNorms: Float32Array;
}

interface Place {
  /** For people. */
  readonly name: string;
  /** Path in the model of the block or linear, if it is one. */
  readonly layer?: string;
}

/**
 * Names the first block whose output, or else linear whose gradient, is NaN or infinite: runs the
 * step's forward once more, block by block.
 */
export async function locateNonFinite(suspects: Suspects): Promise<Place> {
  for (const batch of suspects.batches) {
    const place = await firstNonFiniteBlock(suspects, batch);
    if (place !== null) return place;
  }
  const { adapter, squaredNorms } = suspects;
  for (let index = squaredNorms.length - 1; index >= 0; index -= 1) {
    const layer = adapter.paths[index >> 1];
    if (layer !== undefined && !Number.isFinite(squaredNorms[index]))
      return { name: `the gradient of ${layer}`, layer };
  }
  return { name: lossBlock(suspects.model.layout).name };
}

async function firstNonFiniteBlock(
  { model, pass, adapter }: Suspects,
  host: Batch,
): Promise<Place | null> {
  const { device, layout, pager } = model;
  const before = layout.blocks.slice(0, lossBlock(layout).index);
  using batch = new DeviceBatch(device, host);
  using state = new StreamState(layout, batch.values);
  pager.schedule(inferenceOrder(layout, before.length));
  for (const block of before) {
    const outputs = await visitBlock({ model, pass, block }, (visit) => {
      const made = visit.infer({ batch, adapter }, state.tensors).outputs;
      state.advance(block, made);
      return made;
    });
    for (const tensor of outputs.values()) {
      if (tensor.isDisposed || (await isFinite(model, tensor))) continue;
      return { name: block.name, layer: block.path };
    }
  }
  return null;
}

async function isFinite({ device }: PagedModel, x: Tensor): Promise<boolean> {
  using squaredNorm = device.allocate([1], 'float32', 'activations', 'squared norm');
  device.kernels.squaredNorms({ tensors: [x], out: squaredNorm });
  return Number.isFinite(at(await device.download(squaredNorm), 0));
}
