import { originalPath } from './original-paths.js';

describe('originalPath', () => {
  it.each([
    ['model.vision_tower.encoder.layer.2.attention.k_proj', 'attn.qkv'],
    ['model.vision_tower.encoder.layer.2.attention.projection_layer', 'attn.proj'],
    ['model.vision_tower.encoder.layer.2.mlp.fc1', 'mlp.fc1'],
  ])('finds %s in the tower', (path, module) => {
    expect(originalPath(path, 'other')).toBe(`vision_model.encoder.layers.2.${module}`);
  });

  it.each([
    ['self_attn.q_proj', 'attention.wqkv'],
    ['self_attn.o_proj', 'attention.wo'],
    ['mlp.gate_proj', 'feed_forward.w1'],
    ['mlp.up_proj', 'feed_forward.w3'],
    ['mlp.down_proj', 'feed_forward.w2'],
  ])('finds %s in the LLM, which InternLM2 calls %s', (module, internLm2) => {
    const path = `model.language_model.layers.11.${module}`;
    const block = 'language_model.model.layers.11.';

    expect(originalPath(path, 'internlm2')).toBe(`${block}${internLm2}`);
    expect(originalPath(path, 'other')).toBe(`${block}${module}`);
  });

  it('finds the projector', () => {
    expect(originalPath('model.multi_modal_projector.linear_2', 'other')).toBe('mlp1.3');
  });

  it('refuses other paths', () => {
    expect(() => originalPath('lm_head', 'other')).toThrow('InternVL has no module lm_head');
  });
});
