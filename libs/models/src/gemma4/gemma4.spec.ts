import { at, get } from '@emloc/checked';

import { writeCheckpoint, type CheckpointChanges, type Config } from '../../test/checkpoints.js';
import { of, refusal, sizes, wrapped } from '../../test/shapes.js';
import { layoutOf } from '../layout-of.js';
import type { ModelLayout } from '../layout.js';
import { openModel, type Model } from '../open-model.js';
import type { Gemma4Layer } from './shape.js';

const [plain, wrapper] = ['Gemma4ForCausalLM', 'Gemma4ForConditionalGeneration'];
const unified = 'Gemma4UnifiedForConditionalGeneration';
const [sliding, full] = ['sliding_attention', 'full_attention'];

const text: Config = { ...sizes, num_hidden_layers: 6, head_dim: 8, global_head_dim: 16 };
const shared: Config = {
  ...{ num_kv_shared_layers: 2, use_double_wide_mlp: true },
  layer_types: [sliding, full, sliding, full, sliding, full],
};
const inputs: Config = { hidden_size_per_layer_input: 3, vocab_size_per_layer_input: 60 };
const equal: Config = { attention_k_eq_v: true, num_global_key_value_heads: 1 };

function layersOf(config: Config, architecture = plain): readonly Gemma4Layer[] {
  return of(architecture, { ...text, ...config }).layers as readonly Gemma4Layer[];
}

function layout(config: Config): ModelLayout {
  return layoutOf({ architectures: [plain], ...text, ...config });
}

function shapesOf({ blocks }: ModelLayout, path: string): Record<string, readonly number[]> {
  const block = blocks.find((each) => each.path === path);
  return Object.fromEntries(
    (block?.program.parameters ?? []).map(({ name, shape }) => [name, shape]),
  );
}

describe('layers of Gemma 4', () => {
  it('see everything in every sixth and in the last, by default', () => {
    const types = layersOf({ num_hidden_layers: 8 }).map(({ type }) => type);
    expect(types.map((type) => type === full)).toEqual([
      ...[false, false, false, false, false, true, false, true],
    ]);
    expect(
      layersOf({ layer_types: Array.from({ length: 6 }, () => sliding) }).at(-1),
    ).toMatchObject({ type: full, window: null });
  });

  it.each([
    ['by keys of the whole', { global_head_dim: 24, ...equal }, 24, 1],
    ['512 wide where nothing is said', { global_head_dim: null }, 512, 2],
    [
      'of as many keys as the others, where they are not the values',
      { num_global_key_value_heads: 1 },
      16,
      2,
    ],
    [
      'by numbers of single layers, which come first',
      {
        ...{
          global_head_dim: 24,
          per_layer_config: { 5: { head_dim: 12, num_key_value_heads: 4 } },
        },
      },
      ...([12, 4] as const),
    ],
    ['like the others where no layer has numbers', { per_layer_config: {} }, 8, 2],
  ])('have heads in full attention %s', (_, config, headDim, kvHeads) => {
    expect(layersOf(config).at(-1)).toMatchObject({ headDim, kvHeads });
    expect(layersOf(config).at(0)).toMatchObject({ headDim: 8, kvHeads: 2 });
  });

  it('share keys and values of the last layer of their type before them', () => {
    const layers = layersOf(shared);
    expect(layers.map(({ keysAndValues }) => keysAndValues)).toEqual([
      ...['apart', 'apart', 'apart', 'apart', { of: 2 }, { of: 3 }],
    ]);
    expect(layers.map(({ isSource }) => isSource)).toEqual([
      ...[false, false, true, true, false, false],
    ]);
    expect(layers.map(({ intermediateSize }) => intermediateSize)).toEqual([
      ...[40, 40, 40, 40, 80, 80],
    ]);
  });

  it('have the tensors of the config’s sizes', () => {
    const found = layout({ ...shared, ...inputs, ...equal });
    const common = {
      'input_layernorm.weight': [48],
      'post_attention_layernorm.weight': [48],
      'pre_feedforward_layernorm.weight': [48],
      'post_feedforward_layernorm.weight': [48],
      'per_layer_input_gate.weight': [3, 48],
      'per_layer_projection.weight': [48, 3],
      'post_per_layer_input_norm.weight': [48],
      layer_scalar: [1],
    };
    const feedForward = (inner: number) => ({
      'mlp.gate_proj.weight': [inner, 48],
      'mlp.up_proj.weight': [inner, 48],
      'mlp.down_proj.weight': [48, inner],
    });
    const attention = (headDim: number) => ({
      'self_attn.q_proj.weight': [4 * headDim, 48],
      'self_attn.o_proj.weight': [48, 4 * headDim],
      'self_attn.q_norm.weight': [headDim],
    });
    const keys = (headDim: number, heads: number) => ({
      'self_attn.k_proj.weight': [heads * headDim, 48],
      'self_attn.k_norm.weight': [headDim],
    });
    expect(shapesOf(found, 'model.layers.0')).toEqual({
      ...{ ...common, ...feedForward(40), ...attention(8), ...keys(8, 2) },
      'self_attn.v_proj.weight': [16, 48],
    });
    expect(shapesOf(found, 'model.layers.1')).toEqual({
      ...{ ...common, ...feedForward(40), ...attention(16), ...keys(16, 1) },
    });
    expect(shapesOf(found, 'model.layers.5')).toEqual({
      ...{ ...common, ...feedForward(80), ...attention(16) },
    });
  });

  it('turn a quarter of the pairs across the whole head where attention is full', () => {
    const { ropes } = of(plain, text);
    expect([...get(ropes, full).frequencies(8).inverse]).toEqual([
      ...[1, expect.closeTo(1e6 ** (-2 / 16), 6), 0, 0, 0, 0, 0, 0],
    ]);
    expect([...get(ropes, sliding).frequencies(8).inverse]).toEqual(
      [0, 1, 2, 3].map((pair) => expect.closeTo(1e4 ** (-pair / 4), 6)),
    );
  });

  it('turn as rope_parameters say', () => {
    const rope_parameters = {
      full_attention: {
        ...{ rope_type: 'proportional', rope_theta: 100, partial_rotary_factor: 0.5, factor: 2 },
      },
      sliding_attention: { rope_type: 'default', rope_theta: 16 },
    };
    const { ropes } = of(plain, { ...text, rope_parameters });
    expect([...get(ropes, full).frequencies(8).inverse]).toEqual([
      ...[0, 1, 2, 3].map((pair) => expect.closeTo(0.5 * 100 ** (-pair / 8), 6)),
      ...[0, 0, 0, 0],
    ]);
    expect(at([...get(ropes, sliding).frequencies(8).inverse], 1)).toBeCloseTo(0.5, 6);
  });
});

describe('inputs of single layers', () => {
  it('are looked up on the host, and no page has their table', () => {
    const { tables, pages } = layout({ ...inputs });
    expect(tables).toEqual([
      {
        ...{ stream: 'layerInputs', rows: 'tokens', indices: 'ids', entries: 60, width: 18 },
        checkpointName: 'model.embed_tokens_per_layer.weight',
      },
    ]);
    const names = pages.flatMap(({ tensors }) => tensors.map((each) => each.checkpointName));
    expect(names).toContain('model.per_layer_model_projection.weight');
    expect(names).not.toContain('model.embed_tokens_per_layer.weight');
  });

  it('have no linears that are adapted or emulated unless they are named', () => {
    const named = layout({ ...inputs }).linears.filter(({ adapted }) => adapted === 'whenNamed');
    expect(named.map(({ path, emulated }) => [path, emulated])).toEqual([
      ['model.per_layer_model_projection', 'never'],
      ...[0, 1, 2, 3, 4, 5].flatMap((layer) =>
        ['per_layer_input_gate', 'per_layer_projection'].map((name) => [
          ...[`model.layers.${layer}.${name}`, 'whenNamed'],
        ]),
      ),
    ]);
  });

  it.each([[{}], [{ hidden_size_per_layer_input: null }], [{ hidden_size_per_layer_input: 0 }]])(
    'are none with %j',
    (config) => {
      expect(layout(config).tables).toEqual([]);
    },
  );
});

describe('what is not built', () => {
  it.each([
    ['enable_moe_block', { enable_moe_block: true }],
    ['use_bidirectional_attention', { use_bidirectional_attention: 'all' }],
    ['per_layer_config.5.intermediate_size', { per_layer_config: { 5: { intermediate_size: 8 } } }],
    ['per_layer_config.6', { per_layer_config: { 6: { head_dim: 8 } } }],
    [
      'per_layer_config',
      {
        layer_types: [full, full, full, full, full, full],
        per_layer_config: { 1: { head_dim: 4 } },
      },
    ],
    ['vocab_size_per_layer_input', { ...inputs, vocab_size_per_layer_input: 55 }],
    ['rope_scaling', { rope_scaling: { rope_type: 'linear', factor: 2 } }],
    [
      'layer_types',
      { layer_types: ['chunked_attention', ...Array.from({ length: 5 }, () => full)] },
    ],
    [
      'rope_parameters.full_attention.rope_type',
      { rope_parameters: { full_attention: { rope_type: 'yarn' } } },
    ],
    ['quantization_config', { quantization_config: {} }],
  ])('is refused: %s', (key, config) => {
    expect(refusal(() => of(plain, { ...text, ...config }))).toMatchObject({
      code: 'MODEL_UNSUPPORTED_CONFIG',
      message: expect.stringContaining(`config.json: ${key} = `),
    });
  });

  it.each([
    ['num_kv_shared_layers', { num_kv_shared_layers: 6 }],
    [
      'num_kv_shared_layers',
      { num_kv_shared_layers: 1, layer_types: Array.from({ length: 6 }, () => sliding) },
    ],
  ])('or makes no sense: %s', (key, config) => {
    expect(refusal(() => of(plain, { ...text, ...config }))).toMatchObject({
      code: 'MODEL_INVALID_CONFIG',
      message: expect.stringContaining(key),
    });
  });

  it('is refused within a wrapper, too', () => {
    expect(refusal(() => wrapped(wrapper, { ...text, enable_moe_block: true }))).toMatchObject({
      message: expect.stringContaining('text_config.enable_moe_block = true'),
    });
    expect(
      refusal(() => wrapped(unified, { ...text, hidden_size_per_layer_input: 8 })),
    ).toMatchObject({ code: 'MODEL_UNSUPPORTED_CONFIG' });
  });
});

async function opened<T>(
  config: Config,
  changes: CheckpointChanges,
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const { folder, close } = await writeCheckpoint(config, changes);
  try {
    await using model = await openModel(folder);
    return await use(model);
  } finally {
    await close();
  }
}

const whole: Config = { architectures: [plain], ...text, ...shared, ...inputs };
const table = 'model.embed_tokens_per_layer.weight';

describe('a checkpoint of Gemma 4', () => {
  it('says nothing of projections that layers which share keys and values have all the same', async () => {
    const extra = ['k_proj', 'v_proj', 'k_norm'].map((name) => ({
      name: `model.layers.4.self_attn.${name}.weight`,
      shape: [16, 48],
    }));
    expect(await opened(whole, { extra }, async ({ notices }) => notices)).toEqual([]);
    const other = [{ name: 'model.layers.3.self_attn.v_norm.weight', shape: [16] }];
    expect(await opened(whole, { extra: other }, async ({ notices }) => notices)).toEqual([
      expect.stringContaining('model.layers.3.self_attn.v_norm.weight'),
    ]);
  });

  it('gives the rows of its table that tokens name, and no others', async () => {
    const dtypes = { [table]: 'bfloat16' } as const;
    await opened(whole, { dtypes }, async ({ layout: { tables }, tables: reader, checkpoint }) => {
      const all = new Uint8Array(60 * 18 * 2);
      await checkpoint.read(table, all);
      const row = (entry: number): Uint8Array => all.subarray(entry * 36, (entry + 1) * 36);
      const { bytes, dtype } = await reader.read(at(tables, 0), Int32Array.of(59, 3, 59, 0));
      expect(dtype).toBe('bfloat16');
      expect(Buffer.from(bytes)).toEqual(Buffer.concat([59, 3, 59, 0].map(row)));
    });
  });

  it('has a table whose rows are finite where they are read', async () => {
    await opened(whole, { last: { [table]: Number.NaN } }, async ({ layout, tables: reader }) => {
      const read = (...entries: number[]) =>
        reader.read(at(layout.tables, 0), Int32Array.from(entries));
      await expect(read(58, 0)).resolves.toMatchObject({ dtype: 'float32' });
      await expect(read(0, 59)).rejects.toMatchObject({
        code: 'CHECKPOINT_NOT_FINITE',
        message: expect.stringContaining(table),
      });
    });
  });

  it.each([
    ['hidden_size_per_layer_input', table],
    ['enable_moe_block', 'model.layers.0.router.proj.weight'],
  ])('is refused with a part that the config leaves out: %s', async (key, name) => {
    const config = { architectures: [plain], ...text };
    const refused = opened(config, { extra: [{ name, shape: [6, 48] }] }, () => Promise.resolve());
    await expect(refused).rejects.toMatchObject({
      code: 'MODEL_INVALID_CONFIG',
      message: expect.stringContaining(
        `has ${name}, of a part that config.json leaves out (${key})`,
      ),
    });
  });

  it.each([
    ['MODEL_TENSOR_MISSING', { without: [table] }],
    ['MODEL_TENSOR_MISMATCH', { shapes: { [table]: [60, 17] } }],
  ] as const)('is refused without its table as it should be: %s', async (code, changes) => {
    const refused = opened(whole, changes, () => Promise.resolve());
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringContaining(table),
    });
  });
});
