import { CheckpointError, quoted } from '../errors.js';

/** What llama.cpp calls a class of models, and in which order it has the rows of q and k. */
export interface GgufArchitecture {
  readonly name: string;
  /**
   * Rotary embeddings turn neighbours in place of halves, so that rows of q and k are reordered
   * (`LlamaModel.permute` of the converter).
   */
  readonly permutesHeads: boolean;
}

/**
 * Classes whose linear layers llama.cpp has one for one, from `ModelBase.register` in
 * ggml-org/llama.cpp: conversion/{llama,qwen,gemma,phi,granite,smollm3,olmo}.py.
 */
const architectures: Readonly<Record<string, GgufArchitecture>> = {
  LlamaForCausalLM: { name: 'llama', permutesHeads: true },
  MistralForCausalLM: { name: 'llama', permutesHeads: true },
  SmolLM3ForCausalLM: { name: 'smollm3', permutesHeads: true },
  GraniteForCausalLM: { name: 'granite', permutesHeads: true },
  Qwen2ForCausalLM: { name: 'qwen2', permutesHeads: false },
  Qwen3ForCausalLM: { name: 'qwen3', permutesHeads: false },
  Gemma2ForCausalLM: { name: 'gemma2', permutesHeads: false },
  Gemma3ForCausalLM: { name: 'gemma3', permutesHeads: false },
  Olmo2ForCausalLM: { name: 'olmo2', permutesHeads: false },
  Olmo3ForCausalLM: { name: 'olmo2', permutesHeads: false },
  Phi3ForCausalLM: { name: 'phi3', permutesHeads: false },
  SeedOssForCausalLM: { name: 'seed_oss', permutesHeads: false },
};

/**
 * @param className of `architectures` in config.json
 * @throws CheckpointError CHECKPOINT_ADAPTER_UNSUPPORTED for a class that is not in the table
 */
export function ggufArchitecture(className: unknown): GgufArchitecture {
  const found =
    typeof className === 'string' && Object.hasOwn(architectures, className)
      ? architectures[className]
      : undefined;
  if (found) return found;
  throw new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `GGUF: adapters of ${quoted(className)} are not written; those of ${Object.keys(architectures).join(', ')} are. Merge the adapter, and convert the merged checkpoint`,
  );
}

/** Names within a block, from gguf-py's tensor_mapping.py. */
const withinBlock: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.qkv_proj': 'attn_qkv',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/**
 * The weight that a module is in GGUF: `blk.3.attn_q.weight` of `model.layers.3.self_attn.q_proj`.
 * @throws CheckpointError CHECKPOINT_ADAPTER_UNSUPPORTED for a module that has none
 */
export function ggufWeightName(path: string): string {
  if (path === 'lm_head') return 'output.weight';
  const [, block, module] = /^model\.layers\.(\d+)\.(.+)$/.exec(path) ?? [];
  const name =
    module !== undefined && Object.hasOwn(withinBlock, module) ? withinBlock[module] : undefined;
  if (block !== undefined && name !== undefined) return `blk.${block}.${name}.weight`;
  throw new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `GGUF: there is no weight for the adapted module ${quoted(path)}`,
  );
}
