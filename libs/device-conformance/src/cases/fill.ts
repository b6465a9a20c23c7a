import { group, type CaseDefinition } from '../case.js';
import { fill } from '../reference/fill.js';

export const fillCases: readonly CaseDefinition[] = group('fill', {
  'fills every dtype': async (fixture) => {
    for (const dtype of [fixture.compute, fixture.statistics, 'float32', 'int32'] as const) {
      const out = fixture.output([3, 5], dtype);
      fixture.device.kernels.fill({ out, value: -2 });
      await fixture.assertEqual(out, fill(15, -2), dtype);
    }
  },
});
