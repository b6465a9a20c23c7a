import type { LoraAdapter } from '@emloc/checkpoint';

import { isFiniteAdapter, isSoundAdapter, zeroLayersNotice } from './adapter-values.js';

function adapterOf(...matrices: readonly (readonly number[])[]): LoraAdapter {
  const layers = matrices.map((b, index) => {
    const layer = { a: Float32Array.of(1, -2), inFeatures: 2, outFeatures: b.length };
    return [`layer.${index}`, { ...layer, b: Float32Array.from(b) }] as const;
  });
  const config = { rank: 1, alpha: 1, useRslora: false, targetModules: [] };
  return { ...config, layers: new Map(layers) };
}

describe('the values of an adapter', () => {
  it.each([
    [[0, -1], true, true],
    [[0, -3e38], true, false],
    [[0, Number.NaN], false, false],
    [[Number.NEGATIVE_INFINITY, 0], false, false],
  ])('are with B %j finite: %j, and sound: %j', (b, finite, sound) => {
    expect(isFiniteAdapter(adapterOf([1, 2], b))).toBe(finite);
    expect(isSoundAdapter(adapterOf([1, 2], b))).toBe(sound);
  });

  it('are told of where some B, or all, are zero', () => {
    expect(zeroLayersNotice(adapterOf([1, 0], [0, 1]))).toBeNull();
    expect(zeroLayersNotice(adapterOf([1, 0], [0, -0]))).toMatch(/1 of 2 layers.*layer\.1$/);
    expect(zeroLayersNotice(adapterOf([0, 0], [0, 0]))).toMatch(/all 2 layers/);
  });
});
