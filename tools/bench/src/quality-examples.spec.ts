import { existsSync } from 'node:fs';

import { qualityExample, qualityExamples } from './quality-examples.js';

describe('examples of bench quality', () => {
  const root = new URL('../../../', import.meta.url);

  it.each(Object.keys(qualityExamples))('names files of %s that are there', (name) => {
    const { model, train, test } = qualityExample(name);
    const found = [`${model}/config.json`, train, test].map((path) =>
      existsSync(new URL(path, root)),
    );
    expect(found).toEqual([true, true, true]);
  });

  it.each(Object.values(qualityExamples))('start with full LoRA', ({ variants }) => {
    expect(variants[0]?.options).toEqual({ ratios: ['1'] });
  });

  it('are the only ones', () => {
    expect(() => qualityExample('sounds')).toThrow('one of text, anchors, images expected');
  });
});
