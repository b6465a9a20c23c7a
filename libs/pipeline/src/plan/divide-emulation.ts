import { allDeviceBytes, minimumDeviceBytes } from '@emloc/weight-pager';

import { leanMemoryPlan, type MemoryPlan } from '../job/environment.js';
import { bringRows } from '../job/job-run.js';
import type { Job } from '../job/job.js';
import { calibrate } from '../stages/calibrate.js';
import { emulateBlock } from '../stages/emulate.js';
import { doesNotFit, type PlanInputs } from './fit-memory.js';
import { heaviestJob } from './heaviest-batches.js';
import { createNullRun } from './null-run.js';

/** What one process may take on a device, and how it divides it. */
export interface ProcessMemory {
  readonly budgetBytes: number;
  readonly memory: MemoryPlan;
}

/** Calibration and emulation as two processes on one device. */
export interface EmulationDivision {
  readonly calibrate: ProcessMemory;
  readonly emulate: ProcessMemory;
  /** Whether both fit beside each other. If not, each gets the whole budget in its turn. */
  readonly overlaps: boolean;
}

/**
 * What the two take, each alone: calibration's weights in all and at least, the peak beside them;
 * the peak of emulation's heaviest block, and of what runs once an image.
 */
interface EmulationNeeds {
  readonly allWeightBytes: number;
  readonly leastWeightBytes: number;
  readonly besideWeightBytes: number;
  readonly emulateBytes: number;
  /** What runs once an image, with the least weights. */
  readonly frontBytes: number;
}

/**
 * Divides a device's budget between a process that calibrates and one that emulates, by running
 * both on null devices: emulation gets its peak and calibration the rest, whose pager takes what
 * nothing else needs.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT where one of the two alone passes the budget
 */
export async function divideEmulation({
  job,
  profile,
  budgetBytes,
}: PlanInputs): Promise<EmulationDivision> {
  const needs = await emulationNeeds(heaviestJob(job, profile), profile);
  const leastCalibrateBytes = Math.max(
    needs.besideWeightBytes + needs.leastWeightBytes,
    needs.frontBytes,
  );
  if (leastCalibrateBytes > budgetBytes)
    throw doesNotFit('calibrate', { budgetBytes, neededBytes: leastCalibrateBytes });
  if (needs.emulateBytes > budgetBytes)
    throw doesNotFit('emulate', { budgetBytes, neededBytes: needs.emulateBytes });
  const overlaps = leastCalibrateBytes + needs.emulateBytes <= budgetBytes;
  const calibrateBytes = overlaps ? budgetBytes - needs.emulateBytes : budgetBytes;
  const pagerBytes = Math.min(needs.allWeightBytes, calibrateBytes - needs.besideWeightBytes);
  return {
    calibrate: {
      budgetBytes: calibrateBytes,
      memory: { ...leanMemoryPlan, emulate: { pagerBytes, keptBlocks: 0 } },
    },
    emulate: { budgetBytes: overlaps ? needs.emulateBytes : budgetBytes, memory: leanMemoryPlan },
    overlaps,
  };
}

async function emulationNeeds(job: Job, profile: PlanInputs['profile']): Promise<EmulationNeeds> {
  await using emulation = createNullRun(job, { profile });
  await using calibration = createNullRun(job, { profile });
  const { source } = job.model;
  await bringRows(calibration, ['calibration']);
  const frontBytes = calibration.budget.peakBytes;
  const scope = calibration.budget.openPeakScope(['weights']);
  const seen = new Set<string>();
  for await (const calibrated of calibrate(calibration)) {
    const shape = shapeOf(job, calibrated.block);
    if (seen.has(shape)) continue;
    seen.add(shape);
    await emulateBlock(emulation, calibrated);
  }
  const { device } = calibration.environment;
  return {
    allWeightBytes: allDeviceBytes(source, device),
    leastWeightBytes: minimumDeviceBytes(source, device),
    besideWeightBytes: scope.close(),
    emulateBytes: emulation.budget.peakBytes,
    frontBytes,
  };
}

/** Equal for blocks whose emulation takes the same memory. */
function shapeOf({ emulated }: Job, block: number): string {
  return JSON.stringify(
    emulated
      .filter((linear) => linear.block === block)
      .map(({ name, group, inFeatures, outFeatures, rank }) => [
        name,
        group,
        inFeatures,
        outFeatures,
        rank,
      ]),
  );
}
