import type { DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { rounded } from '../host-values.js';
import { cast } from '../reference/cast.js';

const floats: readonly DType[] = ['float32', 'bfloat16', 'float64'];

async function checkCast(fixture: Fixture, from: DType, to: DType, layout: Layout): Promise<void> {
  const special = [
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    -1 - 2 ** -9,
    3e38,
  ];
  const values = [...fixture.values([31], { scale: 100, dtype: from }), ...special].map((value) =>
    rounded(value, from),
  );
  const [x, out] = [
    fixture.tensor(values, [values.length], { dtype: from, layout }),
    fixture.output([values.length], to),
  ];
  fixture.device.kernels.cast({ x, out });
  await fixture.assertEqual(out, cast(values, to), `${from} to ${to}`);
}

export const castCases: readonly CaseDefinition[] = group('cast', {
  'converts between all float dtypes, special values included': async (fixture) => {
    for (const from of floats) for (const to of floats) await checkCast(fixture, from, to, 'whole');
  },
  'reads row views': async (fixture) => {
    for (const from of floats) await checkCast(fixture, from, 'float32', 'rows');
  },
});
