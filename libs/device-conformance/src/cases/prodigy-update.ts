import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { prodigyUpdate } from '../reference/prodigy-update.js';

const sizes = [1, 37, 20_011];
const dtype = 'float32' as const;

async function check(
  fixture: Fixture,
  changes: { readonly weightDecay?: number; readonly scale?: number },
): Promise<void> {
  const { scale = 1, weightDecay = 0 } = changes;
  const options = { stepSize: 0.3, epsilon: 1e-8 * scale, weightDecay };
  const states = sizes.map((size) => ({
    value: fixture.values([size], { dtype }),
    first: fixture.values([size], { dtype, scale }),
    second: fixture.values([size], { dtype, scale: scale ** 2 }).map(Math.abs),
  }));
  const upload = (name: keyof (typeof states)[number]) =>
    states.map((state) => fixture.tensor(state[name], [state.value.length], { dtype }));
  const parameters = upload('value');
  fixture.device.kernels.prodigyUpdate({
    ...options,
    parameters,
    firstMoments: upload('first'),
    secondMoments: upload('second'),
  });
  for (const [i, state] of states.entries())
    await fixture.assertClose(at(parameters, i), prodigyUpdate(state, options), `parameter ${i}`);
}

export const prodigyUpdateCases: readonly CaseDefinition[] = group('prodigyUpdate', {
  'goes against the first moments, by the roots of the second ones': (fixture) =>
    check(fixture, {}),
  'takes moments as small as at the first distance': (fixture) => check(fixture, { scale: 1e-6 }),
  'decays weights apart from the gradient': (fixture) => check(fixture, { weightDecay: 0.1 }),
});
