/**
 * Module paths of InternVL in transformers and in its original layout, within a block. The LLM's
 * are the same in both unless it is InternLM2.
 */
const towerModules: Readonly<Record<string, string>> = {
  'attention.q_proj': 'attn.qkv',
  'attention.k_proj': 'attn.qkv',
  'attention.v_proj': 'attn.qkv',
  'attention.projection_layer': 'attn.proj',
};

const internLm2Modules: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attention.wqkv',
  'self_attn.k_proj': 'attention.wqkv',
  'self_attn.v_proj': 'attention.wqkv',
  'self_attn.o_proj': 'attention.wo',
  'mlp.gate_proj': 'feed_forward.w1',
  'mlp.up_proj': 'feed_forward.w3',
  'mlp.down_proj': 'feed_forward.w2',
};

const projector: Readonly<Record<string, string>> = {
  'model.multi_modal_projector.linear_1': 'mlp1.1',
  'model.multi_modal_projector.linear_2': 'mlp1.3',
};

/**
 * The module of InternVL's original layout that a golden's module is, or is a part of: q, k and v
 * of a fused layer have one path.
 * @throws Error for a path that InternVL does not have
 */
export function originalPath(path: string, llm: 'internlm2' | 'other'): string {
  const joined = projector[path];
  if (joined !== undefined) return joined;
  const [, part, layer, module = ''] =
    /^model\.(vision_tower\.encoder\.layer|language_model\.layers)\.(\d+)\.(.+)$/.exec(path) ?? [];
  if (part === undefined) throw new Error(`InternVL has no module ${path}`);
  if (part !== 'language_model.layers')
    return `vision_model.encoder.layers.${layer}.${towerModules[module] ?? module}`;
  const own = llm === 'internlm2' ? internLm2Modules[module] : module;
  return `language_model.model.layers.${layer}.${own ?? module}`;
}
