import { Device, formatBytes, MemoryBudget, type Backend, type DeviceTarget } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import {
  bfloat16DiffusionLimits,
  compareDiffusion,
  float32Limits,
  measureDiffusion,
  readDiffusionGolden,
  type Comparison,
  type DiffusionGolden,
  type Limits,
  type MeasuredDiffusion,
} from '@emloc/golden-models';
import { isDiffusionFolder, openDiffusionModel, type DiffusionModel } from '@emloc/models';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

interface DiffusionCheck {
  readonly target: DeviceTarget;
  /** The budget in which weights are paged; null: those of a component stay on the device. */
  readonly vramBytes: number | null;
  readonly limits: Limits;
}

/** Errors that a device's dtype allows. */
export function diffusionLimitsOf({ profile }: DeviceTarget): Limits {
  return profile.computeDType === 'float32' ? float32Limits : bfloat16DiffusionLimits;
}

/**
 * Compares a folder of models that make images; null: it is none.
 * @throws the typed errors of models and devices; Error where the budget is too small
 */
export async function compareDiffusionFolder(
  folder: string,
  { target, vramBytes, limits }: DiffusionCheck,
): Promise<Comparison | null> {
  if (!(await isDiffusionFolder(folder))) return null;
  const golden = await readDiffusionGolden(folder);
  await using models = await openDiffusionModel(folder);
  const budgetBytes = vramBytes ?? Number.POSITIVE_INFINITY;
  const besideBytes = await bytesBeside({ models, golden }, { target, budgetBytes });
  const backend = await target.open(budgetBytes);
  const weights = { reads: 'real', freeBytes: budgetBytes - besideBytes } as const;
  const measured = await measureOn(backend, new MemoryBudget(budgetBytes), {
    ...{ models, golden },
    weights,
  });
  return compareDiffusion(golden, measured, limits);
}

interface Subject {
  readonly models: DiffusionModel;
  readonly golden: DiffusionGolden;
}

interface Weights {
  readonly reads: 'real' | 'none';
  /** What a component's may take: less than all of them only if that is enough for a pager. */
  readonly freeBytes: number;
}

async function measureOn(
  backend: Backend,
  budget: MemoryBudget,
  { models, golden, weights }: Subject & { readonly weights: Weights },
): Promise<MeasuredDiffusion> {
  const device = new Device(backend, budget);
  try {
    return await measureDiffusion({
      models,
      golden,
      withModel: async ({ source, layout }, run) => {
        const pager = openPager({
          ...{ device, source, reads: weights.reads },
          deviceBytes: Math.min(weights.freeBytes, allDeviceBytes(source, device)),
          hostBytes: Number.POSITIVE_INFINITY,
        });
        try {
          return await run({ device, layout, pager });
        } finally {
          await pager.close();
        }
      },
    });
  } finally {
    await device.close();
  }
}

/** What everything but weights takes at most, by a rehearsal on the null device. */
async function bytesBeside(
  { models, golden }: Subject,
  { target, budgetBytes }: { readonly target: DeviceTarget; readonly budgetBytes: number },
): Promise<number> {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const scope = budget.openPeakScope(['weights']);
  const weights = { reads: 'none', freeBytes: Number.POSITIVE_INFINITY } as const;
  const backend = createNullBackend(target.profile);
  await measureOn(backend, budget, { models, golden, weights });
  const beside = scope.close();
  const least = await leastBytes(models, target);
  if (beside + least > budgetBytes)
    throw new Error(
      `it does not fit into ${formatBytes(budgetBytes)}: at least ${beside + least} bytes are needed`,
    );
  return beside;
}

/** What the component with the largest pages is paged in. */
async function leastBytes(models: DiffusionModel, target: DeviceTarget): Promise<number> {
  const backend = createNullBackend(target.profile);
  const probe = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  const { transformer, clip, t5, vaeEncoder, vaeDecoder } = models;
  const each = [transformer, clip, t5, vaeEncoder, vaeDecoder].map(({ source }) =>
    minimumDeviceBytes(source, probe),
  );
  await probe.close();
  return Math.max(...each);
}
