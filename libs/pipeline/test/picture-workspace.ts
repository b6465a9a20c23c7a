import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePng } from '@emloc/images';

import { resolveTuneOptions, type TuneOptions } from '../src/options/resolve.js';
import { writePictureModel } from '../src/testing/picture-model.js';

/** A model that makes pictures, and pictures, in a folder of a test's own. */
export interface PictureWorkspace {
  readonly model: string;
  readonly pictures: string;
  readonly outputs: string;
  /** A small job: 2 steps of 2 pictures, one strength of correction, 1 step of refinement. */
  options(overrides?: Partial<TuneOptions>): TuneOptions;
  close(): Promise<void>;
}

export async function openPictureWorkspace(
  pictures = 3,
  { hasGuidance = true }: { readonly hasGuidance?: boolean } = {},
): Promise<PictureWorkspace> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-pictures-'));
  const [model, data, outputs] = ['model', 'pictures', 'outputs'].map((name) => join(folder, name));
  if (!model || !data || !outputs) throw new Error('three folders expected');
  for (const path of [data, outputs]) await mkdir(path, { recursive: true });
  await writePictureModel(model, { hasGuidance });
  for (let number = 0; number < pictures; number += 1)
    await writeFile(join(data, `${number}.png`), await picture(number));
  return {
    model,
    pictures: data,
    outputs,
    options: (overrides = {}) =>
      resolveTuneOptions({
        ...{ date: '2026-01-31', model, data, out: join(outputs, 'out') },
        ...{ instancePrompt: 'a picture of sks', resolution: 32, steps: 2, refineSteps: 1 },
        ...{ gradientAccumulation: 2, calibrationRows: 4, learningRate: 1e-2 },
        correction: 3,
        vramBytes: 2 ** 28,
        ...overrides,
      }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A disc of one colour on another, 40 x 32 pixels. */
function picture(number: number): Promise<Uint8Array> {
  const [width, height] = [40, 32];
  const rgb = Uint8Array.from({ length: 3 * width * height }, (_, index) => {
    const [pixel, channel] = [Math.floor(index / 3), index % 3];
    const [x, y] = [(pixel % width) - 20, Math.floor(pixel / width) - 16];
    return x * x + y * y < 100 ? 60 * number + 40 * channel : 220 - 30 * number;
  });
  return encodePng({ rgb, width, height });
}
