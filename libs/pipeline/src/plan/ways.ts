import { formatBytes } from '@emloc/device';

import type { StageName } from '../job/observer.js';
import type { Method } from '../options/method.js';
import type { JobPlan } from './plan.js';

/** What a way to train takes on a device and in a budget. */
interface FittingWay {
  readonly name: Method;
  readonly fits: true;
  /** What `--levels` would say; null: all steps are on the original. */
  readonly levels: string | null;
  /** Optimizer steps in all. */
  readonly steps: number;
  /** Of training; null: there is one step, which is not told from what is done once. */
  readonly stepSeconds: number | null;
  /** Of all stages. */
  readonly seconds: number;
  readonly calibrationSeconds: number;
  readonly factorSeconds: number;
  /** Of all steps, on emulators and on the original, with their validations. */
  readonly trainingSeconds: number;
  /** Of the copies between host and device, which may go on beside the rest. */
  readonly copySeconds: number;
  /**
   * Of reading weights from disk, once, and again what the host has no room for; and of locking
   * host memory for them.
   */
  readonly readSeconds: number;
  readonly peakDeviceBytes: number;
}

/** A way, or why it is none. */
export type Way =
  FittingWay | { readonly name: Method; readonly fits: false; readonly reason: string };

/** A way's steps with the plan of them. */
interface Planned {
  readonly plan: JobPlan;
  readonly levels: string | null;
  readonly steps: number;
}

/** Plans of one job's ways, in one budget. */
interface PlannedWays {
  /** Or why there is none. */
  readonly emulator: Planned | string;
  /** Plain LoRA on the original; its weights stay where the budget has room. */
  readonly original: Planned;
  /** The least budget in which they stay. */
  readonly residentBytes: number;
}

/** One row a way. Whether the original is paged or resident is decided by the budget alone. */
export function waysOf({ emulator, original, residentBytes }: PlannedWays): readonly Way[] {
  const { budgetBytes } = original.plan;
  const isResident = residentBytes <= budgetBytes;
  const none = (name: Method, reason: string): Way => ({ name, fits: false, reason });
  return [
    typeof emulator === 'string' ? none('emulator', emulator) : wayOf('emulator', emulator),
    isResident ? none('paged', 'all weights stay on the device') : wayOf('paged', original),
    isResident ? wayOf('resident', original) : none('resident', needs(residentBytes, budgetBytes)),
  ];
}

/** The fastest of the ways, the last of equals, which has no emulator; null: none fits. */
export function fastestWay(ways: readonly Way[]): FittingWay | null {
  return ways.reduce<FittingWay | null>(
    (best, way) => (way.fits && !(best && best.seconds < way.seconds) ? way : best),
    null,
  );
}

/** What each way takes, in words. */
export function wordsOf(ways: readonly Way[]): string {
  return ways
    .map((way) =>
      way.fits ? `${way.name} takes ${way.seconds.toFixed(1)} s` : `${way.name}: ${way.reason}`,
    )
    .join('; ');
}

function wayOf(name: Method, { plan, levels, steps }: Planned): Way {
  const { fits, stages, stepSeconds, neededBytes, budgetBytes } = plan;
  if (!fits) return { name, fits, reason: needs(neededBytes, budgetBytes) };
  const sum = (of: (stage: JobPlan['stages'][number]) => number): number =>
    stages.reduce((total, stage) => total + of(stage), 0);
  const secondsOf = (...names: readonly StageName[]): number =>
    sum((stage) => (names.includes(stage.name) ? stage.seconds : 0));
  return {
    ...{ name, fits, levels, steps, stepSeconds },
    seconds: sum(({ seconds }) => seconds),
    calibrationSeconds: secondsOf('calibrate'),
    factorSeconds: secondsOf('emulate'),
    trainingSeconds: secondsOf('train', 'refine'),
    copySeconds: sum(({ copySeconds }) => copySeconds),
    readSeconds: sum(({ readSeconds }) => readSeconds),
    peakDeviceBytes: Math.max(...stages.map(({ peakDeviceBytes }) => peakDeviceBytes)),
  };
}

function needs(neededBytes: number, budgetBytes: number): string {
  return `needs ${formatBytes(neededBytes)} of a budget of ${formatBytes(budgetBytes)}`;
}
