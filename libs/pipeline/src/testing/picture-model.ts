import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRandom, fillNormal } from '@emloc/dataset';
import { fluxConfigs, writeFluxFolder } from '@emloc/models/testing';

const prompts = fileURLToPath(new URL('../../../dataset/test/goldens/prompts', import.meta.url));
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

/** Writes a model that makes pictures, of random weights, with its tokenizers. */
export async function writePictureModel(
  folder: string,
  { hasGuidance = true }: { readonly hasGuidance?: boolean } = {},
): Promise<void> {
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
