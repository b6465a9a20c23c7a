import type { FluxConfigs } from '@emloc/models';

/** FLUX.1-dev: 11.9 B parameters in its transformer. */
export const fluxShape = 'flux.1-dev';

/** Configs as published, as far as layouts depend on them; what is left out has that default. */
export const fluxConfigs: FluxConfigs = Object.freeze({
  transformer: { guidance_embeds: true },
  clip: { hidden_size: 768, num_attention_heads: 12, intermediate_size: 3072 },
  t5: {
    d_model: 4096,
    d_ff: 10_240,
    num_heads: 64,
    num_layers: 24,
    feed_forward_proj: 'gated-gelu',
  },
  vae: {
    block_out_channels: [128, 256, 512, 512],
    down_block_types: Array.from({ length: 4 }, () => 'DownEncoderBlock2D'),
    up_block_types: Array.from({ length: 4 }, () => 'UpDecoderBlock2D'),
    latent_channels: 16,
    layers_per_block: 2,
    scaling_factor: 0.3611,
    shift_factor: 0.1159,
    use_quant_conv: false,
    use_post_quant_conv: false,
  },
  scheduler: { use_dynamic_shifting: true, shift: 3 },
});
