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

  it.each(['model.layers.0.mlp', 'language_modelling.model.x', 'vision_tower_2.x', 'output'])(
    'are not changed in %s',
    (name) => {
      expect(currentName(name)).toBe(name);
      expect(knownName(name, (each) => each === name)).toBe(name);
      expect(knownName(name, () => false)).toBeUndefined();
    },
  );
});
