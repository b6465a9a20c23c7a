import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDiffusersAdapter } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';

import { cpuTarget } from '../../test/fixtures.js';
import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { resolveEvaluateOptions, type EvaluateOptions } from '../options/resolve.js';
import {
  evaluatePictures,
  type PicturesEvaluateHost,
  type PicturesEvaluateReport,
} from './evaluate-pictures.js';

let workspace: PictureWorkspace;

beforeAll(async () => {
  workspace = await openPictureWorkspace(5);
});

afterAll(() => workspace.close());

function evaluate(
  options: Partial<EvaluateOptions> = {},
  host: Partial<PicturesEvaluateHost> = {},
): Promise<PicturesEvaluateReport> {
  const given = resolveEvaluateOptions({
    ...{ model: workspace.model, data: workspace.pictures, instancePrompt: 'a photo of sks' },
    ...{ resolution: 32, draws: 7, ...options },
  });
  return evaluatePictures(given, { target: cpuTarget(), ...host });
}

describe('evaluatePictures', () => {
  it('has one error for equal draws, whatever the budget and the batch', async () => {
    const resolution = 16;
    const free = await evaluate({ resolution });
    const vramBytes = Math.floor(free.budgetBytes * 0.9);
    const tight = await evaluate({ resolution, vramBytes, prefetch: false });
    const together = await evaluate({ resolution, batch: 3 });

    expect(free).toMatchObject({ draws: 7, pictures: 5, rows: 7, guidance: 1 });
    expect(free.loss).toBeGreaterThan(0);
    expect(free.peakDeviceBytes).toBeLessThanOrEqual(free.budgetBytes);
    expect(tight.peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
    expect(tight.loss).toBe(free.loss);
    expect(together.loss).toBeCloseTo(free.loss, 5);
    expect((await evaluate({ resolution, seed: 1 })).loss).not.toBe(free.loss);
  });

  it('has the mean of its bands, which hold all draws', async () => {
    const { loss, bands, draws } = await evaluate({ draws: 9 });

    const sum = bands.reduce((total, band) => total + (band.loss ?? 0) * band.draws, 0);
    expect(bands.map((band) => band.draws)).toEqual([3, 3, 3]);
    expect(sum / draws).toBeCloseTo(loss, 6);
  });

  it('takes pictures of several sizes', async () => {
    const report = await evaluate({ resolution: 32, buckets: true, batch: 2 });

    expect(report.loss).toBeGreaterThan(0);
  });

  it('scores with an adapter, and with what it was trained with', async () => {
    const folder = join(workspace.outputs, 'adapter');
    const random = createRandom(3, 'adapter');
    const values = (): Float32Array => fillNormal(random, new Float32Array(2 * 32));
    const layer = { a: values(), b: values(), inFeatures: 32, outFeatures: 32 };
    const path = 'transformer_blocks.0.attn.to_q';
    await writeDiffusersAdapter(folder, {
      ...{ rank: 2, alpha: 2, useRslora: false, targetModules: [path] },
      layers: new Map([[path, layer]]),
    });
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, 'emloc.json'),
      JSON.stringify({ pictures: { resolution: 32, guidance: 3 } }),
    );
    const adapted = await evaluate({ adapter: folder, resolution: null });

    expect(adapted).toMatchObject({ guidance: 3, rows: 7 * 4 });
    expect(adapted.loss).not.toBe((await evaluate()).loss);
  });

  it('tells of the pictures before the device is taken', async () => {
    const target = cpuTarget();
    const told: number[] = [];
    await evaluate(
      {},
      { target, onPictures: ({ pictures }) => told.push(pictures, target.opened.length) },
    );

    expect(told).toEqual([5, 0]);
  });

  it('refuses options of text, and pictures that nobody says what they show', async () => {
    await expect(evaluate({ metric: 'anls' })).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringMatching(/^option metric: this model makes pictures/) as string,
    });
    await expect(evaluate({ instancePrompt: null })).rejects.toMatchObject({
      code: 'DATASET_INVALID_PICTURES',
    });
    await expect(evaluate({ vramBytes: 1000 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringMatching(
        /^evaluation does not fit into 1000 B: at least .* are needed, for the .+$/,
      ) as string,
    });
  });
});
