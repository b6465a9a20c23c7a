import { group, type CaseDefinition } from '../case.js';
import { addBias } from '../reference/add-bias.js';

const shape = [9, 31];

export const addBiasCases: readonly CaseDefinition[] = group('addBias', {
  'adds a row to every row': async (fixture) => {
    for (const layout of ['whole', 'rows'] as const) {
      const [bias, before] = [fixture.values([31]), fixture.values(shape)];
      const out = fixture.tensor(before, shape);
      fixture.device.kernels.addBias({ bias: fixture.tensor(bias, [31], { layout }), out });
      await fixture.assertClose(out, addBias(before, bias), 'out');
    }
  },
});
