import type { DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { add } from '../reference/add.js';

const shape = [9, 31];

async function checkAdd(
  fixture: Fixture,
  { alpha, layout, dtype = fixture.compute }: { alpha?: number; layout?: Layout; dtype?: DType },
): Promise<void> {
  const [x, before] = [fixture.values(shape, { dtype }), fixture.values(shape, { dtype })];
  const out = fixture.tensor(before, shape, { dtype });
  fixture.device.kernels.add({ x: fixture.tensor(x, shape, { dtype, layout }), out, alpha });
  await fixture.assertClose(out, add(before, x, alpha ?? 1), 'out');
}

export const addCases: readonly CaseDefinition[] = group('add', {
  adds: (fixture) => checkAdd(fixture, {}),
  'adds a multiple': (fixture) => checkAdd(fixture, { alpha: -2.5 }),
  'reads row views': (fixture) => checkAdd(fixture, { layout: 'rows' }),
  'adds in the statistics dtype': (fixture) =>
    checkAdd(fixture, { dtype: fixture.statistics, alpha: 0.5 }),
  'adds float32': (fixture) => checkAdd(fixture, { dtype: 'float32' }),
});
