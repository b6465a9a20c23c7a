import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { prodigyMoments, type ProdigySettings } from '../reference/prodigy-moments.js';

const settings: ProdigySettings = {
  maxGradientNorm: Number.POSITIVE_INFINITY,
  beta1: 0.9,
  beta2: 0.999,
  distance: 1e-6,
  firstDistance: 1e-6,
};
/** The last ones take several blocks on a device that has them. */
const sizes = [1, 37, 5003, 40_000];
const dtype = 'float32' as const;

/** @param scale of what the state already holds: 0 before the first step */
async function check(
  fixture: Fixture,
  { scale = 0.1, ...changes }: Partial<ProdigySettings> & { readonly scale?: number },
): Promise<void> {
  const options = { ...settings, ...changes };
  const drawn = (size: number, factor = 1) => fixture.values([size], { dtype, scale: factor });
  const states = sizes.map((size) => ({
    ...{ value: drawn(size), start: drawn(size), gradient: drawn(size) },
    first: drawn(size, scale),
    second: drawn(size, scale).map(Math.abs),
    sum: drawn(size, scale),
  }));
  const upload = (name: keyof (typeof states)[number]) =>
    states.map((state) => fixture.tensor(state[name], [state.value.length], { dtype }));
  const lists = {
    ...{ parameters: upload('value'), gradients: upload('gradient'), starts: upload('start') },
    ...{ firstMoments: upload('first'), secondMoments: upload('second') },
    gradientSums: upload('sum'),
  };
  const [squaredGradientNorms, alignments, magnitudes] = [0, 1, 2].map(() =>
    fixture.output([sizes.length], dtype),
  ) as [Output, Output, Output];
  const { kernels } = fixture.device;
  kernels.squaredNorms({ tensors: lists.gradients, out: squaredGradientNorms });
  kernels.prodigyMoments({ ...options, ...lists, squaredGradientNorms, alignments, magnitudes });
  const expected = prodigyMoments(states, options);
  for (const [i, { first, second, sum }] of expected.entries()) {
    for (const [name, list, values] of [
      ['first moment', lists.firstMoments, first],
      ['second moment', lists.secondMoments, second],
      ['sum of gradients', lists.gradientSums, sum],
    ] as const)
      await fixture.assertClose(list[i] as Output, values, `${name} ${i}`);
  }
  await fixture.assertClose(
    alignments,
    expected.map(({ alignment }) => alignment),
    'alignments',
  );
  await fixture.assertClose(
    magnitudes,
    expected.map(({ magnitude }) => magnitude),
    'magnitudes',
  );
}

type Output = ReturnType<Fixture['output']>;

export const prodigyMomentsCases: readonly CaseDefinition[] = group('prodigyMoments', {
  'begins with nothing': (fixture) => check(fixture, { scale: 0 }),
  'goes on from earlier steps, its distance grown': (fixture) => check(fixture, { distance: 0.02 }),
  'clips to the global norm': (fixture) => check(fixture, { maxGradientNorm: 1, distance: 0.5 }),
  'leaves gradients below the limit': (fixture) => check(fixture, { maxGradientNorm: 1e6 }),
});
