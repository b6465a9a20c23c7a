import { Device, MemoryBudget, repeatsOn, type Backend, type DeviceProfile } from '@emloc/device';
import { frontLength, frontStreams, runChain } from '@emloc/finetune';
import {
  fluxLayouts,
  pagesSource,
  predictionLayout,
  restOf,
  type DiffusionLimits,
  type FluxConfigs,
  type ModelLayout,
  type ValueShape,
} from '@emloc/models';
import { allDeviceBytes, openPager, type LayerSource } from '@emloc/weight-pager';

import { RandomDraws } from './flux-rows.js';
import { fluxConfigs } from './flux-shape.js';
import { isEmulated, syntheticWeights } from './gpu-model.js';
import type { TrainingTask } from './gpu-training.js';

/** The transformer behind its front: batches bring what that makes. */
export interface SyntheticFlux {
  readonly layout: ModelLayout;
  readonly limits: DiffusionLimits;
  readonly front: ReadonlyMap<string, ValueShape>;
  readonly original: LayerSource;
  readonly emulator: LayerSource;
  /** Of the emulator's factors, before padding; null where a linear stays as it is. */
  rankOf(path: string): number | null;
}

/** @param ratio of the emulator */
export function syntheticFlux({
  ratio,
  profile,
  configs = fluxConfigs,
}: {
  readonly ratio: number;
  readonly profile: DeviceProfile;
  readonly configs?: FluxConfigs;
}): SyntheticFlux {
  const { transformer, limits } = fluxLayouts(configs);
  const blocks = frontLength(transformer, () => false);
  const { layout, pages } = restOf(transformer, blocks);
  const { original, emulator, rankOf } = syntheticWeights(transformer, { ratio, profile });
  const ranks = new Map(
    layout.linears.filter(isEmulated).map((linear) => [linear.path, rankOf(linear)]),
  );
  return {
    layout,
    limits,
    front: frontStreams(transformer, blocks),
    original: pagesSource(original, pages),
    emulator: pagesSource(emulator, pages),
    rankOf: (path) => ranks.get(path) ?? null,
  };
}

export interface FluxStep {
  /** Pixels of a side. */
  readonly size: number;
  /** Images of a step, which go through the model together. */
  readonly images: number;
  readonly loraRank: number;
  readonly steps: number;
  readonly budgetBytes: number;
}

/** LoRA on the emulator, or on the full model. */
export function fluxTask(
  model: SyntheticFlux,
  on: 'emulator' | 'original',
  { size, images, ...step }: FluxStep,
): TrainingTask {
  return {
    ...step,
    layout: model.layout,
    source: model[on],
    ...(on === 'emulator' && { rankOf: (path: string) => model.rankOf(path) }),
    sequences: images,
    sequenceLength: model.limits.promptTokens + (size / 16) ** 2,
    rows: new RandomDraws({ ...model, size, hasTarget: true }),
  };
}

/** Seconds of each forward of sampling, all weights resident; what it gives is downloaded. */
export async function runForwards(
  backend: Backend,
  model: SyntheticFlux,
  { size, times, budgetBytes }: { size: number; times: number; budgetBytes: number },
): Promise<readonly number[]> {
  const layout = predictionLayout(model.layout);
  const device = new Device(backend, new MemoryBudget(budgetBytes));
  const pager = openPager({
    device,
    source: model.original,
    deviceBytes: allDeviceBytes(model.original, device),
    hostBytes: Number.POSITIVE_INFINITY,
  });
  const draws = new RandomDraws({ ...model, size, hasTarget: false });
  const batch = await draws.load([0]);
  const seconds: number[] = [];
  using repeats = repeatsOn(device);
  try {
    for (let index = 0; index < times; index += 1) {
      const start = performance.now();
      await runChain({ model: { device, layout, pager }, batch, repeats });
      seconds.push((performance.now() - start) / 1000);
    }
  } finally {
    await pager.close();
  }
  return seconds;
}
