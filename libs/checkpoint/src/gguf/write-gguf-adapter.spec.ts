import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, get } from '@emloc/checked';
import { gguf } from '@huggingface/gguf';

import type { LoraAdapter, LoraLayer } from '../lora-adapter.js';
import { writeGgufAdapter } from './write-gguf-adapter.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-gguf-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** Rank 3; values are their own indices, B's from 1000 on. */
function layer(inFeatures: number, outFeatures: number, rest: Partial<LoraLayer> = {}): LoraLayer {
  const { rank = 3 } = rest;
  return {
    ...{ inFeatures, outFeatures, ...rest },
    a: Float32Array.from({ length: rank * inFeatures }, (_, index) => index),
    b: Float32Array.from({ length: outFeatures * rank }, (_, index) => 1000 + index),
  };
}

function adapterOf(layers: Readonly<Record<string, LoraLayer>>): LoraAdapter {
  const [rank, alpha] = [3, 6];
  return {
    rank,
    alpha,
    useRslora: false,
    targetModules: [],
    layers: new Map(Object.entries(layers)),
  };
}

async function written(
  adapter: LoraAdapter,
  config: Readonly<Record<string, unknown>>,
): Promise<{
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>;
}> {
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const path = join(folder, 'adapter.gguf');
  await writeGgufAdapter(path, adapter, { model: folder });
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const bytes = await readFile(path);
  const tensors = tensorInfos.map(({ name, shape, dtype, offset }) => {
    expect(dtype).toBe(0);
    const start = Number(tensorDataOffset) + Number(offset);
    expect(start % 32).toBe(0);
    const count = shape.map(Number).reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: count }, (_, index) =>
      bytes.readFloatLE(start + 4 * index),
    );
    return [name, { shape: shape.map(Number), values }] as const;
  });
  return { metadata: { ...metadata }, tensors: new Map(tensors) };
}

const heads = { num_attention_heads: 2, num_key_value_heads: 1 };

describe('an adapter as GGUF', () => {
  it('has the names, shapes and metadata of llama.cpp', async () => {
    const adapter = adapterOf({
      'model.layers.0.self_attn.q_proj': layer(5, 8),
      'model.layers.11.mlp.down_proj': layer(7, 5),
    });
    const { metadata, tensors } = await written(adapter, { architectures: ['Qwen2ForCausalLM'] });
    expect(metadata).toMatchObject({
      version: 3,
      'general.architecture': 'qwen2',
      'general.type': 'adapter',
      'adapter.type': 'lora',
      'adapter.lora.alpha': 6,
    });
    expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual([
      ['blk.0.attn_q.weight.lora_a', [5, 3]],
      ['blk.0.attn_q.weight.lora_b', [3, 8]],
      ['blk.11.ffn_down.weight.lora_a', [7, 3]],
      ['blk.11.ffn_down.weight.lora_b', [3, 5]],
    ]);
    const q = get(adapter.layers, 'model.layers.0.self_attn.q_proj');
    expect(get(tensors, 'blk.0.attn_q.weight.lora_a').values).toEqual(q.a);
    expect(get(tensors, 'blk.0.attn_q.weight.lora_b').values).toEqual(q.b);
  });

  it("interleaves the halves of each head's rows in B of q and k, of classes that llama.cpp turns so", async () => {
    const adapter = adapterOf({
      'model.layers.0.self_attn.q_proj': layer(5, 8),
      'model.layers.0.self_attn.k_proj': layer(5, 4),
      'model.layers.0.self_attn.v_proj': layer(5, 4),
    });
    const config = { architectures: ['LlamaForCausalLM'], ...heads };
    const { metadata, tensors } = await written(adapter, config);
    expect(metadata).toMatchObject({ 'general.architecture': 'llama' });
    const rowsOf = (name: string): number[] => {
      const { values, shape } = get(tensors, `blk.0.${name}.weight.lora_b`);
      return Array.from(
        { length: at(shape, 1) },
        (_, row) => (at([...values], 3 * row) - 1000) / 3,
      );
    };
    expect(rowsOf('attn_q')).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
    expect(rowsOf('attn_k')).toEqual([0, 2, 1, 3]);
    expect(rowsOf('attn_v')).toEqual([0, 1, 2, 3]);
  });

  it('multiplies into B what llama.cpp does not scale by: rsLoRA, alphas of layers', async () => {
    const path = 'model.layers.0.mlp.up_proj';
    const own = layer(5, 4, { rank: 4, alpha: 2 });
    const config = { architectures: ['Qwen2ForCausalLM'] };
    const { tensors } = await written({ ...adapterOf({ [path]: own }), useRslora: true }, config);
    // 2 / √4 is wanted, 6 / 4 is what llama.cpp does.
    const expected = own.b.map((value) => Math.fround((2 / 3) * value));
    expect(get(tensors, 'blk.0.ffn_up.weight.lora_b').values).toEqual(expected);
    expect(get(tensors, 'blk.0.ffn_up.weight.lora_a').values).toEqual(own.a);
  });

  it.each([
    ['class', { architectures: ['Qwen3_5ForCausalLM'] }, 'model.layers.0.mlp.up_proj', 'Qwen3_5'],
    ['module', { architectures: ['Qwen2ForCausalLM'] }, 'model.layers.0.mlp.router', 'router'],
    [
      'head',
      { architectures: ['Qwen2ForCausalLM'], tie_word_embeddings: true },
      'lm_head',
      'lm_head',
    ],
  ])('refuses a %s that llama.cpp has otherwise, by name', async (_, config, path, name) => {
    await expect(written(adapterOf({ [path]: layer(5, 4) }), config)).rejects.toMatchObject({
      code: 'CHECKPOINT_ADAPTER_UNSUPPORTED',
      message: expect.stringContaining(name) as string,
    });
  });

  it('refuses DoRA, and says what to do instead', async () => {
    const magnitude = new Float32Array(4).fill(1);
    const adapter = adapterOf({ 'model.layers.0.mlp.up_proj': { ...layer(5, 4), magnitude } });
    await expect(written(adapter, { architectures: ['Qwen2ForCausalLM'] })).rejects.toMatchObject({
      code: 'CHECKPOINT_ADAPTER_UNSUPPORTED',
      message: expect.stringMatching(/DoRA.*merge it/) as string,
    });
  });
});
