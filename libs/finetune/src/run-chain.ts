import { at, get, last } from '@emloc/checked';
import { toFloat32 } from '@emloc/checkpoint';
import { byteLength, launchedAsItComes, type Repeats, type Tensor } from '@emloc/device';
import type { Batch } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { signatureOf } from './signature.js';
import { inferenceOrder, StreamState, visitBlock } from './walk.js';

interface ChainRun {
  readonly model: PagedModel;
  readonly batch: Batch;
  /** Default: none. */
  readonly adapter?: DeviceAdapter | null;
  /** Whether the pager was told the order of this run before. Default: no. */
  readonly isScheduled?: boolean;
  /** Of runs of this model and adapter alone; absent: nothing is repeated. */
  readonly repeats?: Repeats;
  readonly signal?: AbortSignal;
}

/**
 * Runs one batch through a chain that ends in no loss, its streams on the device all the way, and
 * gives what its last block writes: (rows, width) each, by stream.
 */
export async function runChain(run: ChainRun): Promise<ReadonlyMap<string, Float32Array>> {
  const { model, batch: host, isScheduled = false, repeats = launchedAsItComes, signal } = run;
  const { device, layout, pager } = model;
  using pass = new PassContext(model, [host.shape]);
  using batch = new DeviceBatch(device, host);
  const order = inferenceOrder(layout);
  if (!isScheduled) pager.schedule(order);
  signal?.throwIfAborted();
  const streams = [...last(layout.blocks).program.outputs.keys()];
  const { downloads } = await repeats.run({
    signature: signatureOf(host.shape),
    inputs: [...pass.tensors, ...batch.tensors],
    launch: () => launchChain(run, { pass, batch, streams }),
    skip: () => pager.pass(order),
    read: (tensors) => ({
      downloads: tensors.map((tensor) => downloadFloat32(model, tensor)),
    }),
  });
  const values = await Promise.all(downloads);
  return new Map(streams.map((stream, index) => [stream, at(values, index)]));
}

interface Launch {
  readonly pass: PassContext;
  readonly batch: DeviceBatch;
  /** Those that are wanted, which the last block writes. */
  readonly streams: readonly string[];
}

/** The streams' tensors, the caller's. */
async function launchChain(
  { model, adapter = null, signal }: ChainRun,
  { pass, batch, streams }: Launch,
): Promise<readonly Tensor[]> {
  const { layout } = model;
  using state = new StreamState(layout, batch.values);
  for (const block of layout.blocks) {
    signal?.throwIfAborted();
    await visitBlock({ model, pass, block }, (visit) => {
      if (adapter) visit.lend(adapter);
      state.advance(block, visit.infer({ batch, adapter }, state.tensors).outputs);
    });
  }
  return streams.map((stream) => get(state.tensors, stream).retain());
}

async function downloadFloat32({ device }: PagedModel, tensor: Tensor): Promise<Float32Array> {
  const bytes = new Uint8Array(byteLength(tensor.shape, tensor.dtype));
  await device.downloadBytes(tensor, bytes);
  return toFloat32(bytes, device.profile.computeDType);
}
