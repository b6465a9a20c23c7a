type Config = Readonly<Record<string, unknown>>;

/** Of the text model of the smallest shapes. */
const microText = Object.freeze({
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 523,
});

/** The id of `<IMG_CONTEXT>` in the tokenizer of `examples/images/model`. */
const imageTokenId = 5;

const text = Object.freeze({
  hidden_act: 'silu',
  max_position_embeddings: 32_768,
  tie_word_embeddings: false,
  dtype: 'bfloat16',
});

/** The layout of the original repositories, with the tower of the large sizes and Qwen2. */
function original(vision: Config, language: Config): Config {
  return {
    architectures: ['InternVLChatModel'],
    model_type: 'internvl_chat',
    dtype: 'bfloat16',
    select_layer: -1,
    force_image_size: vision['image_size'],
    downsample_ratio: 0.5,
    template: 'internvl2_5',
    ps_version: 'v2',
    dynamic_image_size: true,
    use_thumbnail: true,
    min_dynamic_patch: 1,
    max_dynamic_patch: 12,
    tie_word_embeddings: false,
    vision_config: {
      model_type: 'intern_vit_6b',
      hidden_act: 'gelu',
      patch_size: 14,
      norm_type: 'rms_norm',
      layer_norm_eps: 1e-6,
      qkv_bias: false,
      qk_normalization: true,
      ...vision,
    },
    llm_config: {
      architectures: ['Qwen2ForCausalLM'],
      model_type: 'qwen2',
      rms_norm_eps: 1e-6,
      rope_theta: 1e6,
      use_sliding_window: false,
      ...text,
      ...language,
    },
  };
}

/** The layout of transformers, with the tower of the small sizes and InternLM2 as Llama. */
function converted(vision: Config, language: Config): Config {
  const side = Number((vision['image_size'] as readonly unknown[])[0]) / 14;
  return {
    architectures: ['InternVLForConditionalGeneration'],
    model_type: 'internvl',
    dtype: 'bfloat16',
    downsample_ratio: 0.5,
    image_seq_length: (side / 2) ** 2,
    image_token_id: imageTokenId,
    projector_hidden_act: 'gelu',
    tie_word_embeddings: false,
    vision_feature_layer: -1,
    vision_feature_select_strategy: 'default',
    vision_config: {
      model_type: 'internvl_vision',
      hidden_act: 'gelu',
      patch_size: [14, 14],
      norm_type: 'layer_norm',
      layer_norm_eps: 1e-6,
      attention_bias: true,
      use_qk_norm: false,
      use_absolute_position_embeddings: true,
      use_mask_token: false,
      use_mean_pooling: true,
      ...vision,
    },
    text_config: {
      model_type: 'llama',
      rms_norm_eps: 1e-5,
      rope_parameters: { rope_type: 'default', rope_theta: 1e6 },
      ...text,
      ...language,
    },
  };
}

/**
 * Configs in the shape of published InternVL2.5 models. Names of image tokens are those of
 * `examples/images/model`, whose tokenizer goes with them.
 */
export const internvlShapes: Readonly<Record<string, Config>> = Object.freeze({
  'internvl2.5-38b': original(
    {
      hidden_size: 3200,
      intermediate_size: 12_800,
      num_hidden_layers: 45,
      num_attention_heads: 25,
      image_size: 448,
    },
    {
      hidden_size: 5120,
      intermediate_size: 27_648,
      num_hidden_layers: 64,
      num_attention_heads: 40,
      num_key_value_heads: 8,
      vocab_size: 151_674,
    },
  ),
  'internvl2.5-8b-hf': converted(
    {
      hidden_size: 1024,
      intermediate_size: 4096,
      num_hidden_layers: 24,
      num_attention_heads: 16,
      image_size: [448, 448],
    },
    {
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      vocab_size: 92_553,
    },
  ),
  'internvl-micro': original(
    {
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      image_size: 448,
    },
    microText,
  ),
  'internvl-micro-hf': converted(
    {
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      image_size: [448, 448],
    },
    microText,
  ),
});
