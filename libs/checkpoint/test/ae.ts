import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { openSafetensors } from '../src/safetensors-file.js';
import { writeSafetensors, type SafetensorsEntry } from '../src/write-safetensors.js';

/** The VAE of the repository's own model, as diffusers stores it. */
export const exampleVae = fileURLToPath(
  new URL('../../../examples/flux/model/vae', import.meta.url),
);
const levels = 4;

/** Steps from a name of diffusers to that of the single-file layout. */
const steps: readonly (readonly [RegExp, string | ((...found: string[]) => string)])[] = [
  [/mid_block\.resnets\.(\d)/, (_, index = '') => `mid.block_${Number(index) + 1}`],
  [/mid_block\.attentions\.0\.group_norm/, 'mid.attn_1.norm'],
  [/mid_block\.attentions\.0\.to_out\.0/, 'mid.attn_1.proj_out'],
  [/mid_block\.attentions\.0\.to_([qkv])/, 'mid.attn_1.$1'],
  [/down_blocks\.(\d)\.resnets\.(\d)/, 'down.$1.block.$2'],
  [/down_blocks\.(\d)\.downsamplers\.0/, 'down.$1.downsample'],
  [
    /up_blocks\.(\d)\.resnets\.(\d)/,
    (_, level = '', index = '') => `up.${levels - 1 - Number(level)}.block.${index}`,
  ],
  [
    /up_blocks\.(\d)\.upsamplers\.0/,
    (_, level = '') => `up.${levels - 1 - Number(level)}.upsample`,
  ],
  [/conv_shortcut/, 'nin_shortcut'],
  [/conv_norm_out/, 'norm_out'],
];

/** The same tensors in one file of the original layout, changed before it is written. */
export async function writeExampleAe(
  path: string,
  change: (entries: SafetensorsEntry[]) => SafetensorsEntry[] = (entries) => entries,
): Promise<void> {
  await using file = await openSafetensors(join(exampleVae, 'diffusion_pytorch_model.safetensors'));
  const entries: SafetensorsEntry[] = [];
  for (const [name, { dtype, shape }] of file.tensors) {
    if (dtype !== 'bfloat16') throw new Error(`${name} has dtype ${dtype}`);
    const stored = steps.reduce((text, [pattern, to]) => text.replace(pattern, to as string), name);
    const isPixelwise = /attn_1\.(q|k|v|proj_out)\.weight$/.test(stored);
    const data = new Uint8Array(2 * shape.reduce((product, extent) => product * extent, 1));
    await file.read(name, data);
    entries.push({
      ...{ name: stored, dtype, shape: isPixelwise ? [...shape, 1, 1] : shape },
      data: () => data,
    });
  }
  await writeSafetensors(path, change(entries), {});
}

export async function exampleVaeConfig(): Promise<Record<string, unknown>> {
  const text = await readFile(join(exampleVae, 'config.json'), 'utf8');
  return JSON.parse(text) as Record<string, unknown>;
}
