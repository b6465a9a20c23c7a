import { toFloat32 } from '@emloc/checkpoint';
import { byteLength, type Tensor } from '@emloc/device';
import type { Batch } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { inferenceOrder, StreamState, visitBlock } from './walk.js';

export interface ChainRun {
  readonly model: PagedModel;
  readonly batch: Batch;
  /** Default: none. */
  readonly adapter?: DeviceAdapter | null;
  /** Whether the pager was told the order of this run before. Default: no. */
  readonly isScheduled?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Runs one batch through a chain that ends in no loss, its streams on the device all the way, and
 * gives what its last block writes: (rows, width) each, by stream.
 */
export async function runChain(run: ChainRun): Promise<ReadonlyMap<string, Float32Array>> {
  const { model, batch: host, adapter = null, isScheduled = false, signal } = run;
  const { device, layout, pager } = model;
  using pass = new PassContext(model, [host.shape]);
  using batch = new DeviceBatch(device, host);
  using state = new StreamState(layout, batch.values);
  if (!isScheduled) pager.schedule(inferenceOrder(layout));
  for (const block of layout.blocks) {
    signal?.throwIfAborted();
    await visitBlock({ model, pass, block }, (visit) => {
      if (adapter) visit.lend(adapter);
      state.advance(block, visit.infer({ batch, adapter }, state.tensors).outputs);
    });
  }
  const outputs = new Map<string, Float32Array>();
  for (const [stream, tensor] of state.tensors)
    outputs.set(stream, await downloadFloat32(model, tensor));
  return outputs;
}

async function downloadFloat32({ device }: PagedModel, tensor: Tensor): Promise<Float32Array> {
  const bytes = new Uint8Array(byteLength(tensor.shape, tensor.dtype));
  await device.downloadBytes(tensor, bytes);
  return toFloat32(bytes, device.profile.computeDType);
}
