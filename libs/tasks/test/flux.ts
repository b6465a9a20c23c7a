import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';
import { Device, MemoryBudget, type Backend } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import type { PagedModel } from '@emloc/finetune';
import { encoderStreams, fluxLayouts, type ModelLayout } from '@emloc/models';
import { fluxConfigs } from '@emloc/models/testing';
import { minimumDeviceBytes, openPager, type LayerSource } from '@emloc/weight-pager';

import type { Picture } from '../src/diffusion/draws.js';
import type { KeptStreams } from '../src/diffusion/kept-streams.js';

/** A transformer of a double and a single block, prompts of so many tokens. */
export function fluxFixture({ hasGuidance = true, promptTokens = 5 } = {}) {
  const transformer = { guidance_embeds: hasGuidance };
  const { transformer: layout, limits } = fluxLayouts(fluxConfigs({ transformer }));
  return { layout, limits: { ...limits, promptTokens } };
}

/** Weights from a seed, made once, where they are first read. */
export function randomSource({ pages }: ModelLayout): LayerSource {
  const made = new Map<string, Uint8Array>();
  const make = (page: string, tensor: string, length: number): Uint8Array => {
    const random = createRandom(1, `${page} ${tensor}`);
    const values = fillNormal(random, new Float32Array(length / 4));
    const isNorm = tensor.includes('norm_');
    return new Uint8Array(values.map((x) => 0.2 * x + (isNorm ? 1 : 0)).buffer);
  };
  return {
    layers: pages.map(({ name, tensors }) => ({
      name,
      tensors: tensors.map((tensor) => ({
        name: tensor.name,
        shape: tensor.shape,
        dtype: 'float32' as const,
      })),
    })),
    read: (layer, tensor, destination) => {
      const page = at(pages, layer).name;
      const bytes = made.get(`${page} ${tensor}`) ?? make(page, tensor, destination.byteLength);
      made.set(`${page} ${tensor}`, bytes);
      destination.set(bytes);
      return Promise.resolve();
    },
  };
}

/** Pictures of two sizes, the last one of the class. */
export const pictures: readonly Picture[] = [
  { caption: 0, size: { height: 4, width: 6 }, isClass: false },
  { caption: 1, size: { height: 4, width: 4 }, isClass: false },
  { caption: 0, size: { height: 6, width: 4 }, isClass: false },
  { caption: 2, size: { height: 4, width: 4 }, isClass: true },
];

/** What encoders have made of them, and of their captions. */
export const encoded: KeptStreams = {
  read(row, stream) {
    const { height, width } = at(pictures, row).size;
    const { promptWidth, pooledWidth } = fluxFixture().limits;
    const counts = new Map([
      [encoderStreams.moments as string, height * width * 8],
      [encoderStreams.prompt, 5 * promptWidth],
      [encoderStreams.pooled, pooledWidth],
    ]);
    const values = new Float32Array(counts.get(stream) ?? 0);
    fillNormal(createRandom(row, stream), values);
    return Promise.resolve({ bytes: new Uint8Array(values.buffer), dtype: 'float32' });
  },
};

/** Runs with a model whose weights are paged through the least room; nothing may be left. */
export async function withModel<T>(
  layout: ModelLayout,
  {
    source = randomSource(layout),
    backend = createCpuBackend(),
  }: { readonly source?: LayerSource; readonly backend?: Backend },
  run: (model: PagedModel) => Promise<T>,
): Promise<T> {
  const device = new Device(backend, new MemoryBudget(2 ** 30));
  const deviceBytes = minimumDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  try {
    return await run({ device, layout, pager });
  } finally {
    await pager.close();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, cpuProfile.reserveBytes]);
    await device.close();
  }
}

/** The adapter's numbers, to compare bits. */
export function numbersOfAdapter({ layers }: LoraAdapter): readonly number[] {
  return [...layers.values()].flatMap(({ a, b }) => [...a, ...b]);
}
