import { packBatch, type PackedBatch } from '@emloc/dataset';
import { Device, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { BreadthFirstPass, inferenceOrder } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { deviceBytes, openPager } from '@emloc/weight-pager';

/**
 * Device memory that inference takes: all weights in the compute dtype and one prefill of `tokens`
 * tokens, to its next token.
 */
export async function inferenceBytes(
  model: Model,
  profile: DeviceProfile,
  tokens: number,
): Promise<number> {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const device = new Device(createNullBackend(profile), budget);
  const { layout, source } = model;
  const allBytes = source.layers.reduce((sum, layer) => sum + deviceBytes(layer, device), 0);
  const pager = openPager({
    device,
    source,
    deviceBytes: allBytes,
    hostBytes: Number.POSITIVE_INFINITY,
    reads: 'none',
  });
  try {
    pager.schedule(inferenceOrder(layout, true));
    const pass = new BreadthFirstPass({
      model: { device, layout, pager },
      batches: [prefill(tokens)],
      variants: [null],
    });
    try {
      await pass.embed();
      for (let block = 0; block < layout.blockCount; block += 1) await pass.block(block);
      await pass.head(() => Promise.resolve());
    } finally {
      pass.close();
    }
  } finally {
    await pager.close();
  }
  await device.close();
  return budget.peakBytes;
}

function prefill(tokens: number): PackedBatch {
  const trained = new Uint8Array(tokens);
  trained[tokens - 1] = 1;
  return packBatch([{ ids: new Int32Array(tokens), trained, line: 0 }]);
}
