import { Device, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { BreadthFirstPass, inferenceOrder } from '@emloc/finetune';
import { TextPrompts, TextTables } from '@emloc/tasks';
import { allDeviceBytes, openPager } from '@emloc/weight-pager';

import type { SyntheticModel } from './gpu-model.js';
import { defaultShape } from './gpu-shapes.js';
import { trainingBounds, type TrainingTask } from './gpu-training.js';

/** Device memory that a measurement of training may take, the driver's context included. */
export interface GpuBudgets {
  /** LoRA on an emulator. */
  readonly train: number;
  /** LoRA on the full model. */
  readonly paged: number;
}

const gibibyte = 2 ** 30;
/** The driver's own memory on a card, which PyTorch's figures do not count either. */
const contextBytes = 524 * 2 ** 20;
/** What was measured beside PyTorch's inference at the default shape. */
const defaultBudgets: GpuBudgets = Object.freeze({
  train: 14.45 * gibibyte + contextBytes,
  paged: 14 * gibibyte,
});

/** Those that are stated, or the default shape's, or what inference takes, for both. */
export async function gpuBudgets(
  { shape, vramBytes }: { readonly shape: string; readonly vramBytes: number | null },
  model: SyntheticModel,
  profile: DeviceProfile,
): Promise<GpuBudgets> {
  if (vramBytes !== null) return { train: vramBytes, paged: vramBytes };
  if (shape === defaultShape) return defaultBudgets;
  const bytes = await inferenceBytes(model, profile);
  return { train: bytes, paged: bytes };
}

/** Budgets of a job that keeps everything twice, then pages and recomputes. */
export async function identityBudgets(
  shape: string,
  task: Omit<TrainingTask, 'budgetBytes'>,
  profile: DeviceProfile,
): Promise<readonly number[]> {
  if (shape === defaultShape) return [10, 10, 3.75].map((gibibytes) => gibibytes * gibibyte);
  const unbounded = { ...task, budgetBytes: Number.POSITIVE_INFINITY };
  const { least, most } = await trainingBounds(unbounded, profile);
  return [most, most, least];
}

/** Tokens of a step of `train`. */
const prefillTokens = 2048;

/** All weights and a prefill to its next token, on the null device. */
async function inferenceBytes(
  { layout, original: source }: SyntheticModel,
  profile: DeviceProfile,
): Promise<number> {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const device = new Device(createNullBackend(profile), budget);
  const pager = openPager({
    device,
    source,
    deviceBytes: allDeviceBytes(source, device),
    hostBytes: Number.POSITIVE_INFINITY,
    reads: 'none',
  });
  try {
    pager.schedule(inferenceOrder(layout));
    const tables = new TextTables(layout, null);
    const { prompts: prefill } = new TextPrompts([new Int32Array(prefillTokens)], tables);
    using pass = new BreadthFirstPass({
      model: { device, layout, pager },
      batches: { source: prefill, rows: [[0]] },
      variants: [null],
    });
    for (const block of layout.blocks) await pass.run(block);
  } finally {
    await pager.close();
  }
  await device.close();
  return budget.peakBytes;
}
