import { Device, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { BreadthFirstPass, inferenceOrder } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { TextRows, type TextBatches } from '@emloc/tasks';
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
  await using device = new Device(createNullBackend(profile), budget);
  const { layout, source } = model;
  const allBytes = source.layers.reduce((sum, layer) => sum + deviceBytes(layer, device), 0);
  await using pager = openPager({
    device,
    source,
    deviceBytes: allBytes,
    hostBytes: Number.POSITIVE_INFINITY,
    reads: 'none',
  });
  pager.schedule(inferenceOrder(layout));
  using pass = new BreadthFirstPass({
    model: { device, layout, pager },
    batches: prefill(tokens),
    variants: [null],
  });
  for (const block of layout.blocks) await pass.run(block);
  return budget.peakBytes;
}

function prefill(tokens: number): TextBatches {
  const trained = new Uint8Array(tokens);
  trained[tokens - 1] = 1;
  return {
    source: new TextRows([{ ids: new Int32Array(tokens), trained, line: 0 }]),
    rows: [[0]],
  };
}
