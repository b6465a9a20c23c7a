import { at } from '@emloc/checked';

import { toyLayout } from '../test/toy-chain.js';
import { adaptedLinears, initialAdapter, type LoraConfig } from './lora.js';

const layout = toyLayout();
const rank = 64;

function started(start?: LoraConfig['start'], targets: string | null = null) {
  const config = { rank, alpha: 4, useRslora: false, targets, ...(start ? { start } : {}) };
  return initialAdapter(layout, config, 3);
}

describe('a fresh adapter', () => {
  it.each(['uniform', 'gaussian', undefined] as const)('begins with B of zeros: %s', (start) => {
    const { layers } = started(start);
    expect(layers.size).toBeGreaterThan(3);
    for (const { b } of layers.values()) expect(b.every((value) => value === 0)).toBe(true);
  });

  it('draws A evenly from ±1/√in unless told otherwise', () => {
    for (const { a, inFeatures } of started().layers.values()) {
      const largest = Math.max(...a.map(Math.abs));
      expect(largest).toBeLessThan(1 / Math.sqrt(inFeatures));
      expect(largest).toBeGreaterThan(0.9 / Math.sqrt(inFeatures));
    }
    expect(started('uniform')).toEqual(started());
  });

  it('draws A from a normal distribution of standard deviation 1 / rank', () => {
    const values = [...started('gaussian').layers.values()].flatMap(({ a }) => [...a]);
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    // Four standard errors of a variance.
    expect(Math.abs(variance * rank ** 2 - 1)).toBeLessThan(4 * Math.sqrt(2 / values.length));
    expect(Math.max(...values) * rank).toBeGreaterThan(2);
  });

  it('gives a layer the same values whatever else is adapted', () => {
    const path = 'layers.1.k';
    const { a } = started('gaussian').layers.get(path) ?? {};
    expect(started('gaussian', 'layers\\.1\\.k').layers.get(path)?.a).toEqual(a);
  });
});

it('targets that no layer has are explained where keys are the values', () => {
  const linear = at(layout.linears, 0);
  const paths = ['q_proj', 'k_proj'].map((name) => `layers.5.self_attn.${name}`);
  const other = { ...layout, linears: paths.map((path) => ({ ...linear, path })) };
  expect(() => adaptedLinears(other, String.raw`.*\.v_proj`)).toThrow(
    'layers.5.self_attn.v_proj: its keys and values are both what k_proj gives',
  );
  expect(() => adaptedLinears(other, 'x')).toThrow(/\(an example: layers\.5\.self_attn\.q_proj\)$/);
});
