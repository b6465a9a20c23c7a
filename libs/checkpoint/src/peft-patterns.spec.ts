import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { inFolder, randomValues, tinyAdapter } from '../test/fixtures.js';
import { layerScale, type LoraAdapter, type LoraLayer } from './lora-adapter.js';
import { parseLayerNumbers } from './peft-patterns.js';
import { readPeftAdapter } from './read-peft.js';
import { writePeftAdapter } from './write-peft.js';

const isNumber = (value: unknown): value is number => typeof value === 'number';

describe('a pattern of ranks or alphas', () => {
  const q0 = 'model.layers.0.self_attn.q_proj';
  it.each([
    ['a last name', { q_proj: 4 }, q0, 4],
    ['only whole names', { proj: 4 }, q0, undefined],
    ['several last names', { 'self_attn.q_proj': 4 }, q0, 4],
    ['a whole path', { [q0]: 4 }, q0, 4],
    ['no other path', { [q0]: 4 }, 'model.layers.10.self_attn.q_proj', undefined],
    ['the first that matches', { k_proj: 1, q_proj: 2, 'self_attn.q_proj': 3 }, q0, 2],
    ['an expression over layers', { 'layers\\.[0-3]\\..*\\.(q|k)_proj': 4 }, q0, 4],
    ['an expression that repeats groups', { '(layers|\\d+|\\w+\\.)+q_proj': 4 }, q0, 4],
    ['an anchored expression', { '^model.layers.0.*q_proj': 4 }, q0, 4],
    ['nothing that is anchored elsewhere', { '^layers.0.*q_proj': 4 }, q0, undefined],
    ['nothing where it is empty', {}, q0, undefined],
    ['nothing where it is not set', null, q0, undefined],
    ['the head', { lm_head: 9 }, 'lm_head', 9],
    ['any character for a dot', { 'self.attn.q.proj': 4 }, q0, 4],
    ['the first of those with dots elsewhere', { 'self_attn.q.proj': 1, q_proj: 2 }, q0, 1],
    ['an expression before a name', { '.*_proj': 1, q_proj: 2 }, q0, 1],
    ['a name before an expression', { q_proj: 1, '.*_proj': 2 }, q0, 1],
  ])('selects %s', (_name, pattern, path, expected) => {
    expect(parseLayerNumbers(pattern, 'rank_pattern', isNumber)(path)).toBe(expected);
  });

  it.each([
    [{ q_proj: '4' }, 'CHECKPOINT_ADAPTER_INVALID', 'q_proj is 4'],
    [[4], 'CHECKPOINT_ADAPTER_INVALID', 'rank_pattern is "[4]"'],
    [{ '[': 4 }, 'CHECKPOINT_ADAPTER_INVALID', '"[" cannot be used: it is no regular expression'],
  ])('is refused as %j', (pattern, code, part) => {
    expect(() => parseLayerNumbers(pattern, 'rank_pattern', isNumber)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(part) }),
    );
  });
});

it('gives up on an expression that backtracks without end', () => {
  const numberOf = parseLayerNumbers({ '(a+)+b': 4 }, 'rank_pattern', isNumber);
  expect(() => numberOf('a'.repeat(60))).toThrow(
    expect.objectContaining({
      code: 'CHECKPOINT_ADAPTER_UNSUPPORTED',
      message: expect.stringContaining('(a+)+b'),
    }),
  );
});

it('takes a moment for as many patterns as layers, and gives up on too many kinds of them', () => {
  const paths = Array.from({ length: 20_000 }, (_, index) => `model.layers.${index}.q_proj`);
  const own = Object.fromEntries(paths.map((path, index) => [path, index]));
  const numberOf = parseLayerNumbers(own, 'rank_pattern', isNumber);
  expect(paths.map(numberOf)).toEqual(paths.map((_, index) => index));
  const kinds = Array.from({ length: 5000 }, (_, index) => ['x'.repeat(index + 1), 1] as const);
  const other = parseLayerNumbers(Object.fromEntries(kinds), 'rank_pattern', isNumber);
  expect(() => paths.map(other)).toThrow(
    expect.objectContaining({ code: 'CHECKPOINT_ADAPTER_UNSUPPORTED' }),
  );
});

describe('layers with ranks and alphas of their own', () => {
  const [first = '', second = '', ...others] = tinyAdapter().layers.keys();
  const layerOf = (rank: number, layer: LoraLayer | undefined): LoraLayer => ({
    inFeatures: layer?.inFeatures ?? 0,
    outFeatures: layer?.outFeatures ?? 0,
    a: randomValues(rank * (layer?.inFeatures ?? 0), rank),
    b: randomValues(rank * (layer?.outFeatures ?? 0), rank + 1),
  });
  const mixed = (): LoraAdapter => {
    const adapter = tinyAdapter({ useRslora: true });
    const layers = new Map(adapter.layers);
    layers.set(first, { ...layerOf(5, layers.get(first)), rank: 5 });
    layers.set(second, { ...layerOf(3, layers.get(second)), rank: 3, alpha: 7 });
    return { ...adapter, layers };
  };

  it('are read as they were written', () =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, mixed());
      const read = await readPeftAdapter(folder);
      expect(read.layers).toEqual(mixed().layers);
      const scales = [first, second, ...others].map((path) => {
        const layer = read.layers.get(path);
        return layer && layerScale(read, layer);
      });
      expect(scales).toEqual([4 / Math.sqrt(5), 7 / Math.sqrt(3), 4 / Math.SQRT2, 4 / Math.SQRT2]);
    }));

  it('are refused where the tensors have another rank', () =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, mixed());
      const path = join(folder, 'adapter_config.json');
      const config = await readFile(path, 'utf8');
      await writeFile(path, config.replace(/: 5\b/, ': 6'));
      await expect(readPeftAdapter(folder)).rejects.toMatchObject({
        code: 'CHECKPOINT_ADAPTER_INVALID',
        message: expect.stringContaining('has rank 5 in A and 5 in B, adapter_config.json says 6'),
      });
    }));
});
