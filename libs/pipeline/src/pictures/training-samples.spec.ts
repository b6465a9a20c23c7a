import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, MemoryBudget } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import { defaultAdamw, initialAdapter, train } from '@emloc/finetune';
import { drawRows, plainLosses, trainingDraws } from '@emloc/tasks';
import { minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { resolvePreviewOptions } from '../options/resolve.js';
import { plannedStreams } from './made-streams.js';
import { rehearseTransformer } from './paged-transformer.js';
import { rehearsedBytes } from './picture-memory.js';
import { openPictureModel, type PictureModel } from './picture-model.js';
import { openPromptReader, pictureSet, type PictureSet } from './picture-set.js';
import { previewPictures } from './preview-pictures.js';
import { temporaryStreams } from './temporary-streams.js';
import {
  sampleFile,
  sampleRequests,
  TrainingSamples,
  type SampleRequests,
} from './training-samples.js';

let workspace: PictureWorkspace;
let opened: PictureModel;
let set: PictureSet;
let samples: SampleRequests;

beforeAll(async () => {
  workspace = await openPictureWorkspace(5);
  const { model, pictures: data } = workspace;
  opened = await openPictureModel({ model, adapter: null, allowUnusedLayers: false });
  const options = { model, data, instancePrompt: 'a photo of sks', resolution: 32 };
  const { rows } = await previewPictures(resolvePreviewOptions(options));
  const reader = await openPromptReader(opened.diffusion);
  samples = sampleRequests(pictureSet(rows, reader), reader, {
    prompts: ['sks in the snow', 'a photo of sks'],
    ...{ size: { width: 32, height: 48 }, steps: 2, seed: 5 },
  });
  ({ set } = samples);
});

afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  await workspace.close();
});

/** Trains for 4 steps of 2 draws, with samples after each second step where a folder is given. */
async function trained(
  folder: string | null,
): Promise<{ adapter: LoraAdapter; finalLoss: number; paths: readonly string[] }> {
  const budget = new MemoryBudget(2 ** 30);
  const device = new Device(createCpuBackend(), budget);
  const { diffusion, frontBlocks, model } = opened;
  const { draws, batches } = trainingDraws({
    ...{ ...set, seed: 1, scheme: { kind: 'none' }, trained: [...set.pictures.keys()] },
    ...{ schedule: set.limits.schedule, patch: set.limits.patch },
    ...{ steps: 4, batchRows: 1, accumulation: 2 },
  });
  const rows = { draws, ...set, guidance: 1, losses: plainLosses };
  const levels = Array.from(
    { length: draws.length },
    (_, number) => 1 - (draws.at(number)?.level ?? 0) / 1000,
  );
  const conditions = levels.map((noiseLevel) => ({ noiseLevel, guidance: 1, caption: 0 }));
  const streams = await temporaryStreams(
    { diffusion, set, frontBlocks },
    {
      ...{ captions: [...set.captions.keys()], pictures: [...set.pictures.keys()] },
      conditions: [...conditions, ...samples.conditions],
    },
    { device, hostBytes: 2 ** 28, prefetch: true },
  );
  const { layout, source } = model;
  const deviceBytes = minimumDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: 2 ** 28 });
  const paged = { device, layout, pager };
  const made = new TrainingSamples({
    ...{ ...samples, limits: set.limits, decoder: diffusion.vaeDecoder, streams, folder },
    hostBytes: 2 ** 28,
  });
  const paths: string[] = [];
  const { moments, conditioning, captions: prompts } = streams;
  const result = await train({
    model: paged,
    adapter: initialAdapter(layout, { rank: 2, alpha: 2, useRslora: false, targets: null }, 1),
    rows: drawRows({ ...rows, moments, conditioning, prompts }),
    ...{ batches, keptBlocks: 1, optimizer: defaultAdamw },
    schedule: { kind: 'constant', learningRate: 1e-2, steps: 4, warmupRatio: 0 },
    pause:
      folder === null
        ? undefined
        : {
            isDue: (step) => step % 2 === 0,
            run: async (step, adapter) => {
              paths.push(...(await made.make(step, { model: paged, adapter })));
            },
          },
  });
  await pager.close();
  await streams[Symbol.asyncDispose]();
  expect([device.liveTensors, budget.inUseBytes]).toEqual([0, 0]);
  await device.close();
  return { adapter: result.adapter, finalLoss: result.finalLoss, paths };
}

describe('TrainingSamples', () => {
  it('makes pictures between steps, which change no byte of training', async () => {
    const folder = join(workspace.outputs, 'samples');
    const sampled = await trained(folder);
    const plain = await trained(null);

    const names = [
      'step-000002-0.png',
      'step-000002-1.png',
      'step-000004-0.png',
      'step-000004-1.png',
    ];
    expect(await readdir(folder)).toEqual(names);
    expect(sampled.paths).toEqual(names.map((name) => join(folder, name)));
    expect(sampled.finalLoss).toBe(plain.finalLoss);
    expect(sampled.adapter.layers).toEqual(plain.adapter.layers);
    const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
    expect(new Set(files.map((file) => file.toString('base64'))).size).toBe(4);
  });

  it('shares captions with the pictures, and takes the models usual guidance', () => {
    expect(samples.set.captions.map(({ text }) => text)).toEqual([
      'a photo of sks',
      'sks in the snow',
    ]);
    expect(samples.requests).toMatchObject([
      { captions: { positive: 1, negative: null }, guidance: 3.5, seed: 5 },
      { captions: { positive: 0, negative: null }, guidance: 3.5, seed: 5 },
    ]);
    expect(samples.conditions).toHaveLength(4);
  });

  it('counts the decoder beside weights in a rehearsal, and writes nothing there', async () => {
    const { diffusion, frontBlocks } = opened;
    const streams = plannedStreams({ diffusion, set, frontBlocks }, 'float32');
    const made = new TrainingSamples({
      ...{ ...samples, limits: set.limits, decoder: diffusion.vaeDecoder, streams, folder: null },
      hostBytes: Number.POSITIVE_INFINITY,
    });
    const beside = await rehearsedBytes(
      cpuProfile,
      (rehearsal) =>
        rehearseTransformer(opened, rehearsal, async (model, adapter) => {
          expect(await made.make(0, { model, adapter })).toEqual([]);
          const { device } = model;
          expect(device.budget.inUseBytesOf('activations')).toBe(0);
        }),
      ['weights'],
    );
    const decoder = await rehearsedBytes(cpuProfile, ({ device }) =>
      Promise.resolve(
        device.budget.reserve(
          minimumDeviceBytes(diffusion.vaeDecoder.source, device),
          'weights',
          '',
        ),
      ),
    );
    expect(beside).toBeGreaterThan(decoder);
  });

  it('names files so that they sort by step', () => {
    expect([0, 50, 'final' as const].map((moment) => sampleFile(moment, 1))).toEqual([
      'step-000000-1.png',
      'step-000050-1.png',
      'final-1.png',
    ]);
  });
});
