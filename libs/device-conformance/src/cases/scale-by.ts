import type { DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { scaleBy } from '../reference/scale-by.js';

async function check(
  fixture: Fixture,
  shape: readonly number[],
  {
    layout,
    inPlace = false,
    dtype = fixture.compute,
  }: { layout?: Layout; inPlace?: boolean; dtype?: DType } = {},
): Promise<void> {
  const values = fixture.values(shape, { dtype });
  const x = fixture.tensor(values, shape, { dtype, layout });
  const out = inPlace ? x : fixture.output(shape, dtype);
  fixture.device.kernels.scaleBy({ x, out, factor: -33.94 });
  await fixture.assertClose(out, scaleBy(values, -33.94), 'out');
}

export const scaleByCases: readonly CaseDefinition[] = group('scaleBy', {
  'multiplies every element': async (fixture) => {
    for (const shape of [[9, 31], [8, 64], [1], [70_001]]) await check(fixture, shape);
  },
  'multiplies in place': (fixture) => check(fixture, [9, 31], { inPlace: true }),
  'reads row views': (fixture) => check(fixture, [5, 13], { layout: 'rows' }),
  'multiplies in the statistics dtype': (fixture) =>
    check(fixture, [9, 31], { dtype: fixture.statistics }),
});
