/** A config.json, as far as a layout depends on it. */
export type ShapeConfig = Readonly<Record<string, unknown>> & {
  readonly num_hidden_layers: number;
};

/** Three of four layers are gated delta nets. @param sizes what differs between the large ones */
function qwen35Config(sizes: ShapeConfig): ShapeConfig {
  return {
    architectures: ['Qwen3_5ForCausalLM'],
    model_type: 'qwen3_5_text',
    num_key_value_heads: 4,
    head_dim: 256,
    linear_num_key_heads: 16,
    linear_key_head_dim: 128,
    linear_value_head_dim: 128,
    linear_conv_kernel_dim: 4,
    full_attention_interval: 4,
    vocab_size: 248_320,
    max_position_embeddings: 262_144,
    rope_parameters: { rope_type: 'default', rope_theta: 1e7, partial_rotary_factor: 0.25 },
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    ...sizes,
  };
}

/** 7.6 B parameters, 15.2 GB in bfloat16. */
export const defaultShape = 'qwen2.5-7b';

/** Shapes of published models, by name. */
export const gpuShapes: ReadonlyMap<string, ShapeConfig> = new Map(
  Object.entries({
    [defaultShape]: {
      architectures: ['Qwen2ForCausalLM'],
      hidden_size: 3584,
      intermediate_size: 18_944,
      num_hidden_layers: 28,
      num_attention_heads: 28,
      num_key_value_heads: 4,
      vocab_size: 152_064,
      max_position_embeddings: 32_768,
      rope_parameters: { rope_type: 'default', rope_theta: 1e6 },
      rms_norm_eps: 1e-6,
    },
    'qwen3-8b': {
      architectures: ['Qwen3ForCausalLM'],
      hidden_size: 4096,
      intermediate_size: 12_288,
      num_hidden_layers: 36,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 128,
      vocab_size: 151_936,
      max_position_embeddings: 40_960,
      rope_parameters: { rope_type: 'default', rope_theta: 1e6 },
      rms_norm_eps: 1e-6,
    },
    'llama-3.1-8b': {
      architectures: ['LlamaForCausalLM'],
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      vocab_size: 128_256,
      max_position_embeddings: 131_072,
      rope_parameters: {
        rope_type: 'llama3',
        rope_theta: 5e5,
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
      rms_norm_eps: 1e-5,
    },
    'mistral-small-24b': {
      architectures: ['MistralForCausalLM'],
      hidden_size: 5120,
      intermediate_size: 32_768,
      num_hidden_layers: 40,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 128,
      vocab_size: 131_072,
      max_position_embeddings: 32_768,
      sliding_window: null,
      rope_parameters: { rope_type: 'default', rope_theta: 1e8 },
      rms_norm_eps: 1e-5,
      tie_word_embeddings: false,
    },
    'qwen3.5-9b': qwen35Config({
      hidden_size: 4096,
      intermediate_size: 12_288,
      num_hidden_layers: 32,
      num_attention_heads: 16,
      linear_num_value_heads: 32,
    }),
    'qwen3.6-27b': qwen35Config({
      hidden_size: 5120,
      intermediate_size: 17_408,
      num_hidden_layers: 64,
      num_attention_heads: 24,
      linear_num_value_heads: 48,
    }),
    'gemma-3-12b': {
      architectures: ['Gemma3ForCausalLM'],
      hidden_size: 3840,
      intermediate_size: 15_360,
      num_hidden_layers: 48,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      head_dim: 256,
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: 256,
      vocab_size: 262_208,
      max_position_embeddings: 131_072,
      sliding_window: 1024,
      sliding_window_pattern: 6,
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
      rope_scaling: { rope_type: 'linear', factor: 8 },
      rms_norm_eps: 1e-6,
      tie_word_embeddings: true,
    },
  }),
);
