import { at, required } from '@emloc/checked';

import { writeCheckpoint, type CheckpointChanges, type Config } from '../../test/checkpoints.js';
import { of, refusal, secondFrequencies, sizes, wrapped } from '../../test/shapes.js';
import { layoutOf } from '../layout-of.js';
import type { ModelLayout } from '../layout.js';
import { openModel, type Model } from '../open-model.js';

const textClass = 'Qwen3_5ForCausalLM';
const wrapper = 'Qwen3_5ForConditionalGeneration';
const [linear, full] = ['linear_attention', 'full_attention'];

const net = {
  linear_num_key_heads: 2,
  linear_num_value_heads: 6,
  linear_key_head_dim: 8,
  linear_value_head_dim: 5,
  linear_conv_kernel_dim: 3,
};
const text: Config = { ...sizes, ...net, head_dim: 16, model_type: 'qwen3_5_text' };
const alone: Config = { architectures: [textClass], ...text };
const within: Config = { architectures: [wrapper], text_config: text };

/** Whether each layer is a delta net. */
const kindsOf = (config: Config): readonly boolean[] =>
  of(textClass, config).layers.map(({ mixer }) => mixer?.kind === 'gatedDeltaNet');

function shapesOf({ blocks }: ModelLayout, block: number): Record<string, readonly number[]> {
  const { parameters } = at(blocks, block).program;
  return Object.fromEntries(
    parameters.map(({ name, shape, storedShape }) => [name, storedShape ?? shape]),
  );
}

describe('layers of Qwen3.5', () => {
  it.each([
    [{}, [true, true, true, false]],
    [{ full_attention_interval: 2 }, [true, false, true, false]],
    [{ full_attention_interval: 1 }, [false, false, false, false]],
    [{ layer_types: [full, linear, linear, linear] }, [false, true, true, true]],
    [
      { full_attention_interval: 2, layer_types: [full, linear, full, full] },
      [false, true, false, false],
    ],
  ])('with %j are delta nets: %j', (config, expected) => {
    expect(kindsOf(config)).toEqual(expected);
  });

  it('have the tensors of the config’s sizes, and two programs in all', () => {
    const layout = layoutOf(alone);
    const common = {
      'input_layernorm.weight': [48],
      'post_attention_layernorm.weight': [48],
      'mlp.gate_proj.weight': [40, 48],
      'mlp.up_proj.weight': [40, 48],
      'mlp.down_proj.weight': [48, 40],
    };
    expect(shapesOf(layout, 1)).toEqual({
      ...common,
      'linear_attn.in_proj_qkv.weight': [62, 48],
      'linear_attn.in_proj_z.weight': [30, 48],
      'linear_attn.in_proj_b.weight': [6, 48],
      'linear_attn.in_proj_a.weight': [6, 48],
      'linear_attn.conv1d.weight': [62, 1, 3],
      'linear_attn.A_log': [6],
      'linear_attn.dt_bias': [6],
      'linear_attn.norm.weight': [5],
      'linear_attn.out_proj.weight': [48, 30],
    });
    expect(shapesOf(layout, 4)).toEqual({
      ...common,
      'self_attn.q_proj.weight': [128, 48],
      'self_attn.k_proj.weight': [32, 48],
      'self_attn.v_proj.weight': [32, 48],
      'self_attn.o_proj.weight': [48, 64],
      'self_attn.q_norm.weight': [16],
      'self_attn.k_norm.weight': [16],
    });
    expect(new Set(layout.blocks.slice(1, -1).map(({ program }) => program)).size).toBe(2);
  });

  it('read one value together, but for what comes of others', () => {
    const { linears } = layoutOf(alone);
    const groups = linears.filter(({ block }) => block === 1).map(({ group }) => group);
    expect(groups).toEqual([
      ...Array.from({ length: 4 }, () => 'linear_attn.in_proj_qkv'),
      'linear_attn.out_proj',
      'mlp.gate_proj',
      'mlp.gate_proj',
      'mlp.down_proj',
    ]);
  });

  it('have decay and write strength whole and without an adapter unless they are named', () => {
    const { linears } = layoutOf(alone);
    const named = linears.filter(
      ({ adapted, emulated }) => adapted === 'whenNamed' || emulated === 'whenNamed',
    );
    expect(named.map(({ path }) => path)).toEqual(
      [0, 1, 2].flatMap((layer) =>
        ['b', 'a'].map((gate) => `model.layers.${layer}.linear_attn.in_proj_${gate}`),
      ),
    );
    for (const { adapted, emulated } of named)
      expect([adapted, emulated]).toEqual(['whenNamed', 'whenNamed']);
  });
});

describe('Qwen3.5 rotates', () => {
  const second = (base: number, rotaryDim: number): unknown =>
    expect.closeTo(base ** (-2 / rotaryDim), 6);
  it.each([
    ['a quarter of a head by default', {}, 4, 1e4],
    ['what the top level says', { partial_rotary_factor: 0.5, rope_theta: 1e6 }, 8, 1e6],
    [
      'what rope_parameters say before it',
      {
        partial_rotary_factor: 0.25,
        rope_parameters: { rope_type: 'default', partial_rotary_factor: 1, rope_theta: 1e7 },
      },
      16,
      1e7,
    ],
    [
      'texts alike with sections for images',
      {
        rope_parameters: {
          rope_theta: 1e5,
          mrope_section: [1, 1, 0],
          mrope_interleaved: true,
        },
      },
      4,
      1e5,
    ],
  ])('%s', (_, config, rotaryDim, base) => {
    const shape = of(textClass, { ...text, ...config });
    expect(secondFrequencies(shape)).toEqual({ shared: second(base, rotaryDim) });
    expect([...shape.ropes.values()]).toMatchObject([{ rotaryDim, pairs: 'halves' }]);
  });
});

describe('Qwen3.5 refuses', () => {
  it.each([
    ['attention_bias', true, 'UNSUPPORTED'],
    ['hidden_act', 'gelu', 'UNSUPPORTED'],
    ['attn_output_gate', false, 'UNSUPPORTED'],
    ['output_gate_type', 'sigmoid', 'UNSUPPORTED'],
    ['mlp_only_layers', [2], 'UNSUPPORTED'],
    ['model_type', 'qwen3_5_moe_text', 'UNSUPPORTED'],
    ['quantization_config', { bits: 4 }, 'UNSUPPORTED'],
    ['layer_types', [linear, linear, linear, 'sliding_attention'], 'UNSUPPORTED'],
    ['layer_types', [linear], 'INVALID'],
    ['full_attention_interval', 0, 'INVALID'],
    ['linear_num_value_heads', 5, 'INVALID'],
    ['linear_key_head_dim', 2.5, 'INVALID'],
    ['linear_conv_kernel_dim', 0, 'INVALID'],
    ['rope_parameters', { rope_type: 'mrope' }, 'UNSUPPORTED'],
    ['partial_rotary_factor', 0.1, 'INVALID'],
  ])('%s = %j, in both classes', (key, value, code) => {
    const config = { ...text, [key]: value };
    for (const [read, path] of [
      [() => of(textClass, config), ''],
      [() => wrapped(wrapper, config), 'text_config.'],
    ] as const)
      expect(refusal(read)).toMatchObject({
        code: `MODEL_${code}_CONFIG`,
        message: expect.stringContaining(`config.json: ${path}${key}`),
      });
  });

  it('a wrapper without its text_config', () => {
    expect(refusal(() => of(wrapper, text))).toMatchObject({
      code: 'MODEL_INVALID_CONFIG',
      message: expect.stringContaining('text_config must be an object'),
    });
  });

  it('nothing that says what is so anyway', () => {
    const said = {
      attention_bias: false,
      attn_output_gate: true,
      output_gate_type: 'swish',
      mlp_only_layers: [],
      mamba_ssm_dtype: 'float32',
      mtp_num_hidden_layers: 1,
    };
    expect(refusal(() => of(textClass, { ...text, ...said }))).toBeNull();
    expect(refusal(() => of(textClass, { ...text, output_gate_type: 'silu' }))).toBeNull();
  });
});

/** Opens a checkpoint of a config under other names. */
async function opened(
  config: Config,
  changes: CheckpointChanges,
  use: (model: Model) => void,
): Promise<void> {
  const { folder, close } = await writeCheckpoint(config, changes);
  try {
    await using model = await openModel(folder);
    use(model);
  } finally {
    await close();
  }
}

describe('a folder of Qwen3.5', () => {
  const beside = [
    'mtp.fc.weight',
    'mtp.layers.0.self_attn.k_proj.weight',
    'mtp.layers.9.mlp.up_proj.weight',
  ].map((name) => ({ name, shape: [4, 6] }));
  const tower = { name: 'model.visual.blocks.0.attn.qkv.weight', shape: [4, 6] };
  const toWrapper = (name: string): string =>
    name.replace(/^model\.(?!visual)/, 'model.language_model.');
  const toText = (name: string): string => name.replace('model.language_model.', 'model.');

  it.each([
    ['of the text class', alone, undefined, [tower], 'model.layers', 'model.layers'],
    [
      'of the text class with the wrapper’s names',
      alone,
      toWrapper,
      [tower],
      'model.language_model.layers',
      'model.layers',
    ],
    [
      'of the wrapper',
      within,
      undefined,
      [tower],
      'model.language_model.layers',
      'model.language_model.layers',
    ],
    [
      'of the wrapper with the text class’s names',
      within,
      toText,
      [],
      'model.layers',
      'model.language_model.layers',
    ],
  ])(
    '%s is opened without a word of what is beside it',
    (_, config, rename, extra, stored, modules) =>
      opened(config, { extra: [...beside, ...extra], rename }, ({ layout, notices }) => {
        const first = required(layout.linears[0], 'a linear');
        expect(first.weight).toBe(`${stored}.0.linear_attn.in_proj_qkv.weight`);
        expect(first.path).toBe(`${modules}.0.linear_attn.in_proj_qkv`);
        expect(notices).toEqual([]);
      }),
  );

  it.each([
    ['the text class', alone, undefined],
    ['the wrapper', within, expect.stringContaining('AutoModelForCausalLM')],
  ])('tells who opens it where adapters of %s would change nothing', (_, config, expected) => {
    expect(layoutOf(config).adapterNotice).toEqual(expected);
  });

  it('has each tensor in its own dtype, and what decays come of in float32 on the device', () =>
    opened(
      alone,
      {
        dtypes: {
          'model.layers.0.linear_attn.in_proj_qkv.weight': 'bfloat16',
          'model.layers.0.linear_attn.dt_bias': 'bfloat16',
        },
      },
      ({ source }) => {
        const { tensors } = at(source.layers, 1);
        const dtypes = new Map(tensors.map(({ name, dtype }) => [name, dtype]));
        expect(dtypes.get('linear_attn.in_proj_qkv.weight')).toBe('bfloat16');
        expect(dtypes.get('linear_attn.dt_bias')).toBe('bfloat16');
        expect(dtypes.get('linear_attn.A_log')).toBe('float32');
        const kept = tensors.filter(({ deviceDType }) => deviceDType === 'float32');
        expect(kept.map(({ name }) => name)).toEqual(['linear_attn.A_log', 'linear_attn.dt_bias']);
      },
    ));

  it.each([
    ['as the whole says', { tie_word_embeddings: true }, 5],
    ['not as its text_config says', { text_config: { ...text, tie_word_embeddings: true } }, 6],
    ['not by itself', {}, 6],
  ])('of the wrapper has its head tied %s', (_, change, pages) => {
    expect(layoutOf({ ...within, ...change }).pages).toHaveLength(pages);
  });
});
