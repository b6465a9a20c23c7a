import type { DecoderNames } from '../decoder-shape.js';
import type { VisionNames, VisionPaths } from './shape.js';

/** Of the original repositories (InternVLChatModel). */
export const originalNames = Object.freeze<VisionNames>({
  classTable: 'embeddings.class_embedding',
  patches: 'embeddings.patch_embedding',
  positions: 'embeddings.position_embedding',
  layers: 'encoder.layers',
  norm1: 'norm1',
  norm2: 'norm2',
  scale1: 'ls1',
  scale2: 'ls2',
  qkv: { kind: 'fused', name: 'attn.qkv' },
  qNorm: 'attn.q_norm',
  kNorm: 'attn.k_norm',
  output: 'attn.proj',
  fc1: 'mlp.fc1',
  fc2: 'mlp.fc2',
  projector: { norm: '0', linear1: '1', linear2: '3' },
});

export const originalPaths = Object.freeze<VisionPaths>({
  tower: 'vision_model',
  projector: 'mlp1',
});

/** Of transformers (InternVLForConditionalGeneration). */
export const convertedNames = Object.freeze<VisionNames>({
  classTable: 'embeddings.cls_token',
  patches: 'embeddings.patch_embeddings.projection',
  positions: 'embeddings.position_embeddings',
  layers: 'encoder.layer',
  norm1: 'layernorm_before',
  norm2: 'layernorm_after',
  scale1: 'lambda_1',
  scale2: 'lambda_2',
  qkv: {
    kind: 'separate',
    q: 'attention.q_proj',
    k: 'attention.k_proj',
    v: 'attention.v_proj',
  },
  qNorm: 'attention.q_norm',
  kNorm: 'attention.k_norm',
  output: 'attention.projection_layer',
  fc1: 'mlp.fc1',
  fc2: 'mlp.fc2',
  projector: { norm: 'layer_norm', linear1: 'linear_1', linear2: 'linear_2' },
});

export const convertedPaths = Object.freeze<VisionPaths>({
  tower: 'model.vision_tower',
  projector: 'model.multi_modal_projector',
});

/** Where a checkpoint has the modules whose decoder has these names: in both of its spellings. */
export function convertedIn({ layers }: DecoderNames): VisionPaths {
  if (layers.startsWith('model.')) return convertedPaths;
  return { tower: 'vision_tower', projector: 'multi_modal_projector' };
}

/** A language model's names as a part of the original class. */
export function withinOriginal(names: DecoderNames): DecoderNames {
  const within = (name: string): string => `language_model.${name}`;
  return {
    embedding: within(names.embedding),
    layers: within(names.layers),
    norm: within(names.norm),
    head: within(names.head),
  };
}
