import { inferBlock } from '@emloc/autograd';
import { at } from '@emloc/checked';
import type { PackedBatch } from '@emloc/dataset';
import type { Tensor } from '@emloc/device';
import { bindBlock } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { DeviceBatch } from './device-batch.js';
import { inferenceOrder, type PagedModel, type PassContext } from './paged-model.js';

interface Suspects {
  readonly model: PagedModel;
  readonly pass: PassContext;
  readonly adapter: DeviceAdapter;
  readonly batches: readonly PackedBatch[];
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
 * Names the first layer whose output, or else whose gradient, is NaN or infinite: runs the step's
 * forward once more, block by block.
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
  return { name: 'the LM head' };
}

async function firstNonFiniteBlock(
  { model, pass, adapter }: Suspects,
  host: PackedBatch,
): Promise<Place | null> {
  const { device, layout, pager } = model;
  const batch = new DeviceBatch(device, host);
  let x: Tensor | null = null;
  try {
    pager.schedule(inferenceOrder(layout, false));
    const lease = await pager.acquire(layout.embedUnit);
    try {
      const table = lease.tensors.get(layout.embedTensor);
      if (!table) return null;
      x = device.allocate(
        [batch.rows, layout.hiddenSize],
        device.profile.computeDType,
        'activations',
        'block input',
      );
      device.kernels.gatherRows({ table, rows: batch.ids, out: x });
    } finally {
      lease.release();
    }
    if (!(await isFinite(model, x))) return { name: 'the embedding' };
    for (let block = 0; block < layout.blockCount; block += 1) {
      const blockLease = await pager.acquire(layout.blockUnit(block));
      try {
        const bindings = bindBlock(blockLease.tensors, {
          device,
          sequences: batch.sequences,
          rope: pass.rope,
          adapter: (linear) => adapter.binding(block, linear),
        });
        const output = inferBlock(layout.program, bindings, x);
        x.dispose();
        x = output;
      } finally {
        blockLease.release();
      }
      if (!(await isFinite(model, x)))
        return { name: layout.blockPath(block), layer: layout.blockPath(block) };
    }
    return null;
  } finally {
    x?.dispose();
    batch.dispose();
  }
}

async function isFinite({ device }: PagedModel, x: Tensor): Promise<boolean> {
  const squaredNorm = device.allocate([1], 'float32', 'activations', 'squared norm');
  try {
    device.kernels.squaredNorms({ tensors: [x], out: squaredNorm });
    return Number.isFinite(at(await device.download(squaredNorm), 0));
  } finally {
    squaredNorm.dispose();
  }
}
