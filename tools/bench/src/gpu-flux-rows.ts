import { Device, MemoryBudget } from '@emloc/device';
import { cudaProfile } from '@emloc/device-cuda';
import { createNullBackend } from '@emloc/device-null';
import { allDeviceBytes } from '@emloc/weight-pager';

import {
  graphNote,
  note,
  peakBytes,
  profileStep,
  withCard,
  type CardSettings,
} from './gpu-card.js';
import {
  fluxTask,
  runForwards,
  syntheticFlux,
  type FluxStep,
  type SyntheticFlux,
} from './gpu-flux.js';
import { median, type GpuRow } from './gpu-table.js';
import { planTraining, runTraining } from './gpu-training.js';

export interface FluxSettings extends CardSettings {
  readonly steps: number;
  readonly ratio: number;
  readonly rank: number;
  readonly size: number;
  /** Images that go through the paged model together. */
  readonly pagedRows: readonly number[];
  readonly profile: boolean;
  /** In place of the budgets of sizes. */
  readonly vramBytes: number | null;
}

const gibibyte = 2 ** 30;
/** The largest size that is trained within the smaller budget. */
const smallSize = 512;
const [smallBudget, largeBudget] = [16 * gibibyte, 22 * gibibyte];
const forwards = 8;

/** Rows of FLUX.1-dev's shape, of those that are wanted. */
export async function fluxRows(
  wanted: readonly string[],
  settings: FluxSettings,
): Promise<GpuRow[]> {
  const model = syntheticFlux({ ratio: settings.ratio, profile: cudaProfile() });
  const rows: GpuRow[] = [];
  if (wanted.includes('train')) rows.push(await trainRow(model, settings));
  if (wanted.includes('paged')) rows.push(...(await pagedRows(model, settings)));
  if (wanted.includes('sample')) rows.push(await sampleRow(model, settings));
  return rows;
}

async function trainRow(model: SyntheticFlux, settings: FluxSettings): Promise<GpuRow> {
  const budgetBytes = settings.vramBytes ?? (settings.size > smallSize ? largeBudget : smallBudget);
  const { seconds, peak, keptBlocks } = await measure(model, settings, {
    on: 'emulator',
    ...{ images: 1, steps: settings.steps, budgetBytes },
  });
  const { size, ratio } = settings;
  return {
    name: 'train',
    title: `LoRA on an emulator of ratio ${ratio}, one image of ${size}²`,
    ...{ size, seconds, peakBytes: peak },
    detail: `${keptBlocks} blocks kept`,
  };
}

/** Seconds of an image, of several that go through the model together. */
async function pagedRows(model: SyntheticFlux, settings: FluxSettings): Promise<GpuRow[]> {
  const rows: GpuRow[] = [];
  for (const images of settings.pagedRows) {
    const { seconds, peak } = await measure(model, settings, {
      on: 'original',
      ...{ images, steps: 4, budgetBytes: settings.vramBytes ?? smallBudget },
    });
    rows.push({
      name: 'paged',
      title: `LoRA on the full model, its blocks paged, an image of ${settings.size}²`,
      size: settings.size,
      seconds: seconds / images,
      peakBytes: peak,
      detail: `${images} together`,
    });
  }
  return rows;
}

async function measure(
  model: SyntheticFlux,
  settings: FluxSettings,
  { on, ...step }: { on: 'emulator' | 'original' } & Omit<FluxStep, 'size' | 'loraRank'>,
): Promise<{ seconds: number; peak: number; keptBlocks: number }> {
  return withCard(settings, step.budgetBytes, async (backend) => {
    const task = fluxTask(model, on, { ...step, size: settings.size, loraRank: settings.rank });
    const memory = await planTraining(task, backend.profile);
    const run = await runTraining(task, backend, { memory, reads: 'real' });
    note(
      `${on}, ${step.images} of ${settings.size}²: ms a step ${run.seconds.map((value) => (value * 1000).toFixed(1)).join(' ')}; ${memory.keptBlocks} blocks kept; waits ${run.pager.stallSeconds.toFixed(2)} s; loss ${run.losses[0]} to ${run.losses.at(-1)}; ${graphNote(backend)}`,
    );
    const peak = peakBytes(backend);
    if (settings.profile) await profileStep(backend, { ...task, steps: 3 }, memory);
    const seconds = median(run.seconds.slice(Math.min(2, step.steps - 1)));
    return { seconds, peak, keptBlocks: memory.keptBlocks };
  });
}

async function sampleRow(model: SyntheticFlux, settings: FluxSettings): Promise<GpuRow> {
  const { size } = settings;
  const capacityBytes = weightBytes(model) + 8 * gibibyte;
  return withCard(settings, capacityBytes, async (backend) => {
    const seconds = await runForwards(backend, model, {
      size,
      times: forwards,
      budgetBytes: capacityBytes,
    });
    note(
      `sample: ms a forward ${seconds.map((value) => (value * 1000).toFixed(1)).join(' ')}; ${graphNote(backend)}`,
    );
    return {
      name: 'sample',
      title: `one forward of sampling an image of ${size}², all weights on the card`,
      ...{ size, seconds: median(seconds.slice(2)), peakBytes: peakBytes(backend) },
      detail: 'modulation made before',
    };
  });
}

function weightBytes({ original }: SyntheticFlux): number {
  const device = new Device(
    createNullBackend(cudaProfile()),
    new MemoryBudget(Number.POSITIVE_INFINITY),
  );
  return allDeviceBytes(original, device);
}
