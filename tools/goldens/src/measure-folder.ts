import { Device, formatBytes, MemoryBudget, type Backend, type DeviceTarget } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import {
  bfloat16LimitsOf,
  float32Limits,
  LogitRecorder,
  measureGolden,
  type Golden,
  type Limits,
  type Measured,
} from '@emloc/golden-models';
import { openModel, type Model } from '@emloc/models';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

/** Errors that a device's dtype allows. */
export function limitsOf({ profile }: DeviceTarget): (golden: Golden) => Limits {
  return profile.computeDType === 'float32' ? () => float32Limits : bfloat16LimitsOf;
}

/**
 * Computes with the model of a folder what its golden has.
 * @param vramBytes the budget in which its weights are paged; null: all of them stay on the device
 * @throws the typed errors of models and devices; Error where the budget is too small
 */
export async function measureFolder(
  folder: string,
  golden: Golden,
  { target, vramBytes }: { readonly target: DeviceTarget; readonly vramBytes: number | null },
): Promise<Measured> {
  const model = await openModel(folder);
  try {
    const budgetBytes = vramBytes ?? Number.POSITIVE_INFINITY;
    const pagerBytes = await weightBytes(model, golden, { target, budgetBytes });
    const backend = await target.open(budgetBytes);
    return await measureOn(backend, { model, golden, budgetBytes, pagerBytes, reads: 'real' });
  } finally {
    await model.close();
  }
}

interface Measurement {
  readonly model: Model;
  readonly golden: Golden;
  readonly budgetBytes: number;
  readonly pagerBytes: number;
  readonly reads: 'real' | 'none';
}

async function measureOn(
  backend: Backend,
  { model, golden, budgetBytes, pagerBytes, reads }: Measurement,
  budget = new MemoryBudget(budgetBytes),
): Promise<Measured> {
  const recorder = new LogitRecorder(backend);
  const device = new Device(backend, budget);
  const { layout, source, tables } = model;
  const { config } = model.checkpoint;
  try {
    const pager = openPager({
      device,
      source,
      deviceBytes: pagerBytes,
      hostBytes: Number.POSITIVE_INFINITY,
      reads,
    });
    const paged = { device, layout, pager };
    try {
      return await measureGolden({ model: paged, tables, golden, config }, recorder);
    } finally {
      await pager.close();
    }
  } finally {
    await device.close();
  }
}

/** What the budget leaves for weights, by a rehearsal on the null device. */
async function weightBytes(
  model: Model,
  golden: Golden,
  { target, budgetBytes }: { readonly target: DeviceTarget; readonly budgetBytes: number },
): Promise<number> {
  const backend = createNullBackend(target.profile);
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const scope = budget.openPeakScope(['weights']);
  const probe = new Device(
    createNullBackend(target.profile),
    new MemoryBudget(Number.POSITIVE_INFINITY),
  );
  const least = minimumDeviceBytes(model.source, probe);
  const all = allDeviceBytes(model.source, probe);
  await probe.close();
  const rehearsal = { model, golden, budgetBytes, pagerBytes: least, reads: 'none' } as const;
  await measureOn(backend, rehearsal, budget);
  const beside = scope.close();
  if (beside + least > budgetBytes)
    throw new Error(
      `it does not fit into ${formatBytes(budgetBytes)}: at least ${beside + least} bytes are needed`,
    );
  return Math.min(all, budgetBytes - beside);
}
