import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Device, MemoryBudget, type Backend } from '@emloc/device';
import { defaultAdamw, initialAdapter, train } from '@emloc/finetune';
import { textLimits, type Model } from '@emloc/models';
import { minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import { cardOf } from './bench-device.js';
import { median, randomRows } from './stream-runs.js';

/** What the process holds after a step. */
export interface MemorySample {
  readonly step: number;
  /** Reserved from the device's budget. */
  readonly deviceBytes: number;
  /** Taken on the card by this process; null on the CPU. */
  readonly cardBytes: number | null;
  readonly residentBytes: number;
}

/** Growth from the second quarter of a run to the last. */
export interface MemoryGrowth {
  readonly deviceBytes: number;
  readonly cardBytes: number | null;
  readonly residentBytes: number;
}

const sampleCount = 40;

/**
 * Trains LoRA for `steps` steps on a model that is paged through two layers' room, and samples
 * memory on the way.
 */
export async function sampleTraining(
  model: Model,
  backend: Backend,
  steps: number,
): Promise<readonly MemorySample[]> {
  const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  const { layout, source } = model;
  const pager = openPager({
    device,
    source,
    deviceBytes: minimumDeviceBytes(source, device),
    hostBytes: Number.POSITIVE_INFINITY,
  });
  const samples: MemorySample[] = [];
  const interval = Math.max(1, Math.floor(steps / sampleCount));
  const rows = randomRows(8, 48, Math.min(4096, textLimits(layout).vocabularySize));
  try {
    await train({
      model: { device, layout, pager },
      rows,
      keptBlocks: 0,
      optimizer: defaultAdamw,
      adapter: initialAdapter(layout, { rank: 8, alpha: 16, useRslora: false, targets: null }, 0),
      batches: Array.from({ length: steps }, (_, step) => [
        [step % rows.count, (step + 3) % rows.count],
      ]),
      schedule: { kind: 'constant', learningRate: 1e-4, steps, warmupRatio: 0 },
      onStep: ({ step }) => {
        if (step % interval === 0) samples.push(sample(step, device, backend));
      },
    });
  } finally {
    await pager.close();
  }
  if (device.liveTensors > 0) throw new Error(`${device.liveTensors} tensors left after training`);
  return samples;
}

/** Medians, since a sample falls before or after what a step frees. */
export function growthOf(samples: readonly MemorySample[]): MemoryGrowth {
  const quarter = Math.floor(samples.length / 4);
  const [early, late] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)];
  const growth = (value: (one: MemorySample) => number): number =>
    median(late.map(value)) - median(early.map(value));
  return {
    deviceBytes: growth(({ deviceBytes }) => deviceBytes),
    cardBytes: samples.some(({ cardBytes }) => cardBytes === null)
      ? null
      : growth(({ cardBytes }) => cardBytes ?? 0),
    residentBytes: growth(({ residentBytes }) => residentBytes),
  };
}

/**
 * More resident memory than this after thousands of buffers is a leak; less is the garbage
 * collector's.
 */
const residentToleranceBytes = 24 * 2 ** 20;

/** Whether memory stayed as it was. */
export function isFlat({ deviceBytes, cardBytes, residentBytes }: MemoryGrowth): boolean {
  return deviceBytes === 0 && (cardBytes ?? 0) <= 0 && residentBytes <= residentToleranceBytes;
}

function sample(step: number, device: Device, backend: Backend): MemorySample {
  collectGarbage();
  const card = cardOf(backend)?.measureMemory();
  return {
    step,
    deviceBytes: device.budget.inUseBytes,
    cardBytes: card ? (card.ownBytes ?? card.usedBytes) : null,
    residentBytes: process.memoryUsage.rss(),
  };
}

let garbageCollector: (() => void) | null = null;

function collectGarbage(): void {
  if (!garbageCollector) {
    setFlagsFromString('--expose-gc');
    garbageCollector = runInNewContext('gc') as () => void;
  }
  garbageCollector();
}
