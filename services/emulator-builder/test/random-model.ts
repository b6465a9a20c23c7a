import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface RandomModelOptions {
  /** A Qwen2 checkpoint whose tokenizer is taken. */
  readonly base: string;
  readonly layers: number;
  /** Also the size of the MLP, threefold. */
  readonly hidden: number;
}

/** Writes a checkpoint with tied embeddings and weights that mean nothing, for blocks of any size. */
export async function writeRandomModel(folder: string, { base, layers, hidden }: RandomModelOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja']) await cp(join(base, file), join(folder, file));
  const given = JSON.parse(await readFile(join(base, 'config.json'), 'utf8')) as { vocab_size: number };
  const config = { ...given, dtype: 'float32', hidden_size: hidden, intermediate_size: 3 * hidden, num_hidden_layers: layers, num_attention_heads: 4, num_key_value_heads: 4, layer_types: Array(layers).fill('full_attention'), max_window_layers: layers };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'model.safetensors'), checkpointOf(shapesOf({ layers, hidden, vocabulary: given.vocab_size })));
}

function shapesOf({ layers, hidden, vocabulary }: { layers: number; hidden: number; vocabulary: number }): [string, number[]][] {
  const inner = 3 * hidden;
  const block = (prefix: string): [string, number[]][] => [
    [`${prefix}.input_layernorm.weight`, [hidden]], [`${prefix}.post_attention_layernorm.weight`, [hidden]],
    ...['q', 'k', 'v'].flatMap((name): [string, number[]][] => [[`${prefix}.self_attn.${name}_proj.weight`, [hidden, hidden]], [`${prefix}.self_attn.${name}_proj.bias`, [hidden]]]),
    [`${prefix}.self_attn.o_proj.weight`, [hidden, hidden]],
    [`${prefix}.mlp.gate_proj.weight`, [inner, hidden]], [`${prefix}.mlp.up_proj.weight`, [inner, hidden]], [`${prefix}.mlp.down_proj.weight`, [hidden, inner]],
  ];
  const blocks = Array.from({ length: layers }, (_, layer) => block(`model.layers.${layer}`)).flat();
  return [['model.embed_tokens.weight', [vocabulary, hidden]], ...blocks, ['model.norm.weight', [hidden]]];
}

/** A safetensors file of float32 tensors with values between -0.05 and 0.05. */
function checkpointOf(shapes: readonly (readonly [string, number[]])[]): Buffer {
  const sizes = shapes.map(([, shape]) => shape.reduce((product, size) => product * size, 1));
  const values = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  let state = 1;
  for (let index = 0; index < values.length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[index] = (state / 2 ** 32 - 0.5) / 10;
  }
  let offset = 0;
  const header = Object.fromEntries(shapes.map(([name, shape], index) => {
    const begin = offset;
    offset += 4 * (sizes[index] ?? 0);
    return [name, { dtype: 'F32', shape, data_offsets: [begin, offset] }];
  }));
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.from(values.buffer)]);
}
