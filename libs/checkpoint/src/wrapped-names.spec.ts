import { currentName, knownName } from './wrapped-names.js';

const pairs = [
  ['language_model.model.layers.3.mlp.up_proj', 'model.language_model.layers.3.mlp.up_proj'],
  ['language_model.model.embed_tokens.weight', 'model.language_model.embed_tokens.weight'],
  ['language_model.lm_head', 'lm_head'],
  ['language_model.lm_head.weight', 'lm_head.weight'],
  [
    'vision_tower.vision_model.encoder.layers.0',
    'model.vision_tower.vision_model.encoder.layers.0',
  ],
  ['multi_modal_projector.linear_1.weight', 'model.multi_modal_projector.linear_1.weight'],
] as const;

describe('names of a wrapper', () => {
  it.each(pairs)('%s is %s today', (former, current) => {
    expect(currentName(former)).toBe(current);
    expect(currentName(current)).toBe(current);
  });

  it.each(pairs)('%s and %s are known by either', (former, current) => {
    for (const name of [former, current])
      for (const stored of [former, current])
        expect(knownName(name, (each) => each === stored)).toBe(stored);
  });

  it('are those of today where both are known', () => {
    expect(knownName('language_model.lm_head.weight', () => true)).toBe('lm_head.weight');
  });

  it.each([
    ['model.layers.3.mlp.up_proj', 'model.language_model.layers.3.mlp.up_proj'],
    ['model.layers.3.mlp.up_proj', 'language_model.model.layers.3.mlp.up_proj'],
    ['model.embed_tokens.weight', 'model.language_model.embed_tokens.weight'],
    ['model.norm.weight', 'model.language_model.norm.weight'],
  ])('%s of the language model alone is %s within', (alone, within) => {
    expect(knownName(alone, (each) => each === within)).toBe(within);
    expect(knownName(within, (each) => each === alone)).toBe(alone);
    for (const name of [alone, within]) {
      const known = currentName(name);
      expect(knownName(name, () => true)).toBe(known);
    }
  });

  it('take no other head’s layers for those of the language model', () => {
    const stored = 'model.language_model.layers.0.mlp.up_proj';
    expect(knownName('mtp.layers.0.mlp.up_proj', (each) => each === stored)).toBeUndefined();
  });

  it.each(['model.layers.0.mlp', 'language_modelling.model.x', 'vision_tower_2.x', 'output'])(
    'are not changed in %s',
    (name) => {
      expect(currentName(name)).toBe(name);
      expect(knownName(name, (each) => each === name)).toBe(name);
      expect(knownName(name, () => false)).toBeUndefined();
    },
  );
});
