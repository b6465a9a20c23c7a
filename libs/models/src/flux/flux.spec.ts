import { at, get } from '@emloc/checked';

import { parameterCount } from '../layout.js';
import { predictionLayout } from '../prediction-layout.js';
import { fluxLayouts, type FluxConfigs } from './components.js';
import { bucketOf, pooledRow } from './encoder-streams.js';
import { diffusionPlaces, diffusionSizes, noiseFeatures } from './streams.js';

/** Of FLUX.1-dev as it was published; keys that say nothing new are left out. */
const published: FluxConfigs = {
  transformer: {
    _class_name: 'FluxTransformer2DModel',
    attention_head_dim: 128,
    guidance_embeds: true,
    in_channels: 64,
    joint_attention_dim: 4096,
    num_attention_heads: 24,
    num_layers: 19,
    num_single_layers: 38,
    patch_size: 1,
    pooled_projection_dim: 768,
  },
  clip: {
    architectures: ['CLIPTextModel'],
    model_type: 'clip_text_model',
    eos_token_id: 2,
    hidden_act: 'quick_gelu',
    hidden_size: 768,
    intermediate_size: 3072,
    max_position_embeddings: 77,
    num_attention_heads: 12,
    num_hidden_layers: 12,
    vocab_size: 49_408,
  },
  t5: {
    architectures: ['T5EncoderModel'],
    model_type: 't5',
    d_ff: 10_240,
    d_kv: 64,
    d_model: 4096,
    dense_act_fn: 'gelu_new',
    feed_forward_proj: 'gated-gelu',
    is_gated_act: true,
    num_heads: 64,
    num_layers: 24,
    relative_attention_num_buckets: 32,
    vocab_size: 32_128,
  },
  vae: {
    _class_name: 'AutoencoderKL',
    block_out_channels: [128, 256, 512, 512],
    down_block_types: Array.from({ length: 4 }, () => 'DownEncoderBlock2D'),
    up_block_types: Array.from({ length: 4 }, () => 'UpDecoderBlock2D'),
    latent_channels: 16,
    layers_per_block: 2,
    scaling_factor: 0.3611,
    shift_factor: 0.1159,
    use_post_quant_conv: false,
    use_quant_conv: false,
  },
  scheduler: {
    _class_name: 'FlowMatchEulerDiscreteScheduler',
    base_image_seq_len: 256,
    base_shift: 0.5,
    max_image_seq_len: 4096,
    max_shift: 1.15,
    shift: 3,
    use_dynamic_shifting: true,
  },
};

function changed(
  component: keyof FluxConfigs,
  values: Readonly<Record<string, unknown>>,
): FluxConfigs {
  return { ...published, [component]: { ...published[component], ...values } };
}

describe('the published FLUX.1-dev', () => {
  const layouts = fluxLayouts(published);
  const { transformer, limits } = layouts;

  it('has the sizes that it has', () => {
    const millions = (layout: Parameters<typeof parameterCount>[0]): number =>
      Math.round(parameterCount(layout) / 1e5) / 10;
    expect(millions(transformer)).toBe(11_901.4);
    expect(millions(layouts.clip)).toBe(123.1);
    expect(millions(layouts.t5)).toBe(4762.3);
    expect(millions(layouts.vaeEncoder)).toBe(34.3);
    expect(millions(layouts.vaeDecoder)).toBe(49.5);
  });

  it('tells what its parts are given', () => {
    expect(limits).toMatchObject({
      latentChannels: 16,
      pixelsPerLatent: 8,
      patch: 2,
      promptTokens: 512,
      hasGuidance: true,
      ropeAxes: [16, 56, 56],
      scaling: { shift: 0.1159, scale: 0.3611 },
      schedule: { levels: 1000, dynamic: { baseShift: 0.5, maxShift: 1.15 }, shiftTerminal: null },
    });
  });

  it('is adapted where DreamBooth adapts it, with the weights of a rank of 4', () => {
    const adapted = transformer.linears.filter(({ adapted: when }) => when === 'byDefault');
    const weights = adapted.reduce((sum, each) => sum + each.inFeatures + each.outFeatures, 0);
    expect(4 * weights).toBe(11_206_656);
    expect(adapted.filter(({ path }) => /proj_mlp|proj_out|norm|embed/.test(path))).toEqual([]);
  });

  it('is emulated in its blocks but for what modulates them', () => {
    const when = (path: string): string | undefined =>
      transformer.linears.find((linear) => linear.path === path)?.emulated;
    expect(when('transformer_blocks.18.attn.add_q_proj')).toBe('byDefault');
    expect(when('single_transformer_blocks.37.proj_out')).toBe('byDefault');
    expect(when('transformer_blocks.0.norm1_context.linear')).toBe('whenNamed');
    expect(when('norm_out.linear')).toBe('whenNamed');
    expect(when('x_embedder')).toBe('never');
    expect(when('proj_out')).toBe('never');
  });

  it('has a front of all that depends on noise level, guidance and prompt alone', () => {
    const front = transformer.blocks.filter(({ isFront }) => isFront);
    expect(front).toHaveLength(1 + 19 + 38 + 1);
    expect(transformer.blocks.slice(0, front.length)).toEqual(front);
  });

  it('gives a prediction in place of its loss', () => {
    const { blocks, pages } = predictionLayout(transformer);
    const { program } = at(blocks, blocks.length - 1);
    expect([...program.outputs.keys()]).toEqual(['prediction']);
    expect([...program.inputs.keys()]).not.toContain('target');
    expect(pages).toBe(transformer.pages);
  });
});

describe('schnell', () => {
  it('has no guidance, shorter prompts and noise levels that are not shifted', () => {
    const { transformer, limits } = fluxLayouts({
      ...changed('transformer', { guidance_embeds: false }),
      scheduler: { use_dynamic_shifting: false, shift: 1 },
    });
    expect(limits).toMatchObject({ hasGuidance: false, promptTokens: 256 });
    expect(limits.schedule).toMatchObject({ shift: 1, dynamic: null });
    expect(transformer.linears.some(({ path }) => path.includes('guidance'))).toBe(false);
  });
});

describe('configs that change the result', () => {
  it.each([
    ['transformer', { _class_name: 'FluxControlNetModel' }, '_class_name'],
    ['transformer', { in_channels: 384, out_channels: 64 }, 'FLUX.1 Fill'],
    ['transformer', { in_channels: 128, out_channels: 64 }, '(Control)'],
    ['transformer', { patch_size: 2 }, 'patch_size'],
    ['transformer', { axes_dims_rope: [16, 56, 58] }, 'attention_head_dim, 128'],
    ['transformer', { axes_dims_rope: [64, 64] }, 'axes_dims_rope'],
    ['transformer', { quantization_config: {} }, 'quantization_config'],
    ['transformer', { in_channels: 32 }, '64 follows from latent_channels in vae/config.json'],
    ['transformer', { joint_attention_dim: 2048 }, '4096 follows from d_model'],
    ['transformer', { pooled_projection_dim: 512 }, '768 follows from hidden_size'],
    ['clip', { architectures: ['CLIPTextModelWithProjection'] }, 'CLIPTextModelWithProjection'],
    ['clip', { hidden_act: 'relu' }, 'hidden_act'],
    ['clip', { num_attention_heads: 7 }, 'num_attention_heads'],
    ['t5', { architectures: ['UMT5EncoderModel'] }, 'UMT5EncoderModel'],
    ['t5', { feed_forward_proj: 'relu' }, 'feed_forward_proj'],
    ['t5', { feed_forward_proj: undefined }, 'feed_forward_proj'],
    ['vae', { latents_mean: [0] }, 'latents_mean'],
    ['vae', { act_fn: 'relu' }, 'act_fn'],
    ['vae', { down_block_types: ['AttnDownEncoderBlock2D'] }, 'down_block_types'],
    ['vae', { norm_num_groups: 48 }, 'norm_num_groups'],
    ['scheduler', { use_karras_sigmas: true }, 'use_karras_sigmas'],
    ['scheduler', { time_shift_type: 'cosine' }, 'time_shift_type'],
    ['scheduler', { _class_name: 'DDIMScheduler' }, '_class_name'],
  ] as const)('refuses of %s %j', (component, values, named) => {
    const file = component === 'scheduler' ? 'scheduler/scheduler_config.json' : '/config.json: ';
    const read = (): unknown => fluxLayouts(changed(component, values));
    expect(read).toThrow(expect.objectContaining({ name: 'ModelError' }));
    expect(read).toThrow(named);
    expect(read).toThrow(file);
  });
});

describe('streams', () => {
  const limits = { ropeAxes: [2, 4, 4] };
  const samples = [
    { promptTokens: 2, rows: 2, columns: 3 },
    { promptTokens: 1, rows: 1, columns: 2 },
  ];

  it("have every sample's prompt before its latents", () => {
    const { layouts, integers } = diffusionSizes(limits, samples);
    expect(layouts).toEqual(
      new Map([
        ['latents', [0, 6, 8]],
        ['prompt', [0, 2, 3]],
        ['joint', [0, 8, 11]],
        ['samples', [0, 1, 2]],
      ]),
    );
    const places = diffusionPlaces(limits, samples);
    expect(get(places.integers, 'promptRows')).toEqual(Int32Array.of(0, 1, 8));
    expect(get(places.integers, 'latentRows')).toEqual(Int32Array.of(2, 3, 4, 5, 6, 7, 9, 10));
    expect([...integers.values()]).toEqual([3, 8]);
  });

  it('turn latents by row and column, and no token of a prompt', () => {
    const { cos, sin } = get(diffusionPlaces(limits, samples).ropes, 'rope');
    const angles = (row: number): number[] =>
      Array.from({ length: 5 }, (_, i) => Math.atan2(at(sin, row * 5 + i), at(cos, row * 5 + i)));
    expect(angles(1)).toEqual([0, 0, 0, 0, 0]);
    // Row 1, column 2 of the first sample; axes of 4 elements have frequencies of 1 and 0.01.
    [0, 1, 0.01, 2, 0.02].forEach((angle, i) => expect(at(angles(7), i)).toBeCloseTo(angle, 6));
  });

  it('have features with cosines first', () => {
    const features = noiseFeatures({ featureWidth: 256 }, 0.001);
    expect(at(features, 0)).toBeCloseTo(Math.cos(1), 6);
    expect(at(features, 128)).toBeCloseTo(Math.sin(1), 6);
    expect(at(features, 129)).toBeCloseTo(Math.sin(10_000 ** (-1 / 128)), 6);
  });
});

describe('text encoders', () => {
  it('tell distances apart as T5 does', () => {
    const limits = { buckets: 32, maxDistance: 128 };
    const kinds = [0, -1, -7, -8, -15, -16, -64, -127, -500, 1, 7, 8, 128].map((distance) =>
      bucketOf(limits, distance),
    );
    expect(kinds).toEqual([0, 1, 7, 8, 9, 10, 14, 15, 15, 17, 23, 24, 31]);
  });

  it('find the token that stands for a prompt', () => {
    const ids = Int32Array.of(90, 7, 99, 12, 99);
    expect(pooledRow({ end: 99 }, ids)).toBe(2);
    expect(pooledRow({ end: 12 }, ids)).toBe(3);
    expect(pooledRow({ end: 1 }, ids)).toBe(0);
    expect(pooledRow({ end: null }, ids)).toBe(2);
  });
});
