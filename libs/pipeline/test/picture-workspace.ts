import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRandom, fillNormal } from '@emloc/dataset';
import { encodePng } from '@emloc/images';
import { fluxConfigs, writeFluxFolder } from '@emloc/models/testing';

import { resolveTuneOptions, type TuneOptions } from '../src/options/resolve.js';

const prompts = fileURLToPath(new URL('../../dataset/test/goldens/prompts', import.meta.url));
const [promptWidth, pooledWidth] = [24, 16];

/** A model with two double and two single blocks, and what the tokenizers need. */
const configsOf = (hasGuidance: boolean) =>
  fluxConfigs({
    transformer: {
      guidance_embeds: hasGuidance,
      ...{ num_layers: 2, num_single_layers: 2, attention_head_dim: 16, axes_dims_rope: [4, 6, 6] },
      ...{ joint_attention_dim: promptWidth, pooled_projection_dim: pooledWidth },
    },
    clip: {
      ...{ hidden_size: pooledWidth, intermediate_size: 32 },
      ...{ vocab_size: 677, max_position_embeddings: 77 },
    },
    t5: { d_model: promptWidth, d_kv: 8, d_ff: 32, num_layers: 2, vocab_size: 320 },
    vae: {
      block_out_channels: [8, 8, 8, 8],
      down_block_types: new Array<string>(4).fill('DownEncoderBlock2D'),
      up_block_types: new Array<string>(4).fill('UpDecoderBlock2D'),
    },
  });

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
  await writeModel(model, hasGuidance);
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

async function writeModel(folder: string, hasGuidance: boolean): Promise<void> {
  await writeFluxFolder(folder, configsOf(hasGuidance), weights);
  await cp(join(prompts, 'clip'), join(folder, 'tokenizer'), { recursive: true });
  await cp(join(prompts, 't5'), join(folder, 'tokenizer_2'), { recursive: true });
}

/** Norms near 1, all else small: what a model has before it is trained. */
function weights(name: string, shape: readonly number[]): Float32Array {
  const inputs = shape.slice(1).reduce((count, size) => count * size, 1);
  const values = new Float32Array(shape.reduce((count, size) => count * size, 1));
  const isNorm = shape.length === 1 && name.endsWith('.weight');
  const scale = shape.length === 1 ? 0.02 : 1 / Math.sqrt(inputs);
  fillNormal(createRandom(7, name), values);
  return values.map((value) => (isNorm ? 1 : 0) + scale * value);
}
