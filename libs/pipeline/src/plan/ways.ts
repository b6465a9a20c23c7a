import { formatBytes } from '@emloc/device';

import type { JobPlan } from './plan.js';

/**
 * How the same steps can be trained: on an emulator, on the original with its blocks paged, or on
 * the original with all weights on the device.
 */
type WayName = 'emulator' | 'paged' | 'resident';

/** What a way takes on a device and in a budget, or why it is none. */
export type Way =
  | {
      readonly name: WayName;
      readonly fits: true;
      /** Of training; null: there is one step, which is not told from what is done once. */
      readonly stepSeconds: number | null;
      /** Of all stages. */
      readonly seconds: number;
      readonly peakDeviceBytes: number;
    }
  | { readonly name: WayName; readonly fits: false; readonly reason: string };

/** Plans of one job's ways, in one budget. */
export interface PlannedWays {
  /** null: the job has no emulator. */
  readonly emulator: JobPlan | null;
  /** Plain LoRA of as many steps on the original; its weights stay where the budget has room. */
  readonly original: JobPlan;
  /** The least budget in which they stay. */
  readonly residentBytes: number;
}

/** One row a way. Whether the original is paged or resident is decided by the budget alone. */
export function waysOf({ emulator, original, residentBytes }: PlannedWays): readonly Way[] {
  const { budgetBytes } = original;
  const isResident = residentBytes <= budgetBytes;
  const none = (name: WayName, reason: string): Way => ({ name, fits: false, reason });
  return [
    emulator === null
      ? none('emulator', 'a ratio of 1 has no emulator')
      : wayOf('emulator', emulator),
    isResident ? none('paged', 'all weights stay on the device') : wayOf('paged', original),
    isResident ? wayOf('resident', original) : none('resident', needs(residentBytes, budgetBytes)),
  ];
}

function wayOf(name: WayName, plan: JobPlan): Way {
  const { fits, stages, stepSeconds, neededBytes, budgetBytes } = plan;
  if (!fits) return { name, fits, reason: needs(neededBytes, budgetBytes) };
  return {
    name,
    fits,
    stepSeconds,
    seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0),
    peakDeviceBytes: Math.max(...stages.map(({ peakDeviceBytes }) => peakDeviceBytes)),
  };
}

function needs(neededBytes: number, budgetBytes: number): string {
  return `needs ${formatBytes(neededBytes)} of a budget of ${formatBytes(budgetBytes)}`;
}
