import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { gram } from '../reference/gram.js';

async function checkGram(fixture: Fixture, rows: number, n: number, layout: Layout): Promise<void> {
  const dtype = fixture.statistics;
  const [x, seed] = [fixture.values([rows, n]), fixture.values([n, n], { dtype })];
  const before = seed.map((value, i) => value + at(seed, (i % n) * n + Math.floor(i / n)));
  const out = fixture.tensor(before, [n, n], { dtype });
  fixture.device.kernels.gram({ x: fixture.tensor(x, [rows, n], { layout }), out });
  // Products may be float32 whatever the sums are.
  await fixture.assertClose(out, gram(x, before, n), 'out', 'float32');
  const result = await fixture.read(out);
  result.forEach((value, i) =>
    assert.equal(value, result[(i % n) * n + Math.floor(i / n)], `element ${i} and its mirror`),
  );
}

export const gramCases: readonly CaseDefinition[] = group('gram', {
  'adds xᵀ x, the whole symmetric matrix': (fixture) => checkGram(fixture, 37, 23, 'whole'),
  'reads row views': (fixture) => checkGram(fixture, 11, 13, 'rows'),
  'takes rows past every chunk': (fixture) => checkGram(fixture, 300, 33, 'whole'),
  'takes one row': (fixture) => checkGram(fixture, 1, 5, 'whole'),
});
