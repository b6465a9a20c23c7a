import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import { squaredNorm } from '../reference/squared-norms.js';

export const squaredNormsCases: readonly CaseDefinition[] = group('squaredNorms', {
  'sums the squares of each tensor': async (fixture) => {
    const sizes = [1, 7, 4099, 70_001];
    const values = sizes.map((size) => fixture.values([size], { dtype: 'float32' }));
    const tensors = values.map((value, i) =>
      fixture.tensor(value, [value.length], {
        dtype: 'float32',
        layout: i === 2 ? 'rows' : 'whole',
      }),
    );
    const out = fixture.output([sizes.length], 'float32');
    fixture.device.kernels.squaredNorms({ tensors, out });
    const norms = await fixture.read(out);
    values.forEach((value, i) => {
      const expected = squaredNorm(value);
      assert.ok(
        Math.abs(at(norms, i) - expected) <= 1e-5 * expected,
        `norm ${i} is ${norms[i]}, expected ${expected}`,
      );
    });
  },
  'sums the compute dtype': async (fixture) => {
    const values = fixture.values([1037]);
    const out = fixture.output([1], 'float32');
    fixture.device.kernels.squaredNorms({ tensors: [fixture.tensor(values, [17, 61])], out });
    await fixture.assertClose(out, [squaredNorm(values)], 'norm');
  },
  'passes NaN and infinity through': async (fixture) => {
    const tensors = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) =>
      fixture.tensor([1, value, 2], [3], { dtype: 'float32' }),
    );
    const out = fixture.output([3], 'float32');
    fixture.device.kernels.squaredNorms({ tensors, out });
    await fixture.assertEqual(
      out,
      [Number.NaN, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
      'norms',
    );
  },
  'is zero for an empty tensor': async (fixture) => {
    const out = fixture.output([1], 'float32');
    fixture.device.kernels.squaredNorms({
      tensors: [fixture.tensor([], [0, 4], { dtype: 'float32' })],
      out,
    });
    await fixture.assertEqual(out, [0], 'norm');
  },
});
