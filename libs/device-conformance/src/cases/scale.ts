import { at } from '@emloc/checked';
import type { DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { scale } from '../reference/scale.js';

const shape = [9, 31];

async function checkScale(
  fixture: Fixture,
  {
    along,
    inPlace = false,
    layout,
    dtype = fixture.compute,
  }: { along: 'rows' | 'columns'; inPlace?: boolean; layout?: Layout; dtype?: DType },
): Promise<void> {
  const [rows, columns] = [at(shape, 0), at(shape, 1)];
  const length = along === 'rows' ? rows : columns;
  const [x, factors] = [fixture.values(shape, { dtype }), fixture.values([length], { dtype })];
  const tensor = fixture.tensor(x, shape, { dtype, layout });
  const out = inPlace ? tensor : fixture.output(shape, dtype);
  fixture.device.kernels.scale({
    x: tensor,
    scale: fixture.tensor(factors, [length], { dtype, layout }),
    along,
    out,
  });
  await fixture.assertClose(out, scale(x, factors, columns, along), 'out');
}

export const scaleCases: readonly CaseDefinition[] = group('scale', {
  'scales rows': (fixture) => checkScale(fixture, { along: 'rows' }),
  'scales columns': (fixture) => checkScale(fixture, { along: 'columns' }),
  'scales in place': (fixture) => checkScale(fixture, { along: 'columns', inPlace: true }),
  'reads row views': (fixture) => checkScale(fixture, { along: 'rows', layout: 'rows' }),
  'scales in the statistics dtype': async (fixture) => {
    await checkScale(fixture, { along: 'rows', dtype: fixture.statistics });
    await checkScale(fixture, { along: 'columns', dtype: fixture.statistics, inPlace: true });
  },
});
