import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { adamw, type AdamwParameter, type AdamwSettings } from '../reference/adamw.js';

const settings: AdamwSettings = {
  maxGradientNorm: Number.POSITIVE_INFINITY,
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  step: 1,
};
const sizes = [1, 37, 5003];
const dtype = 'float32' as const;

/**
 * Updates one after another on the device, against as many of the reference: only the parameters
 * and moments of the last are compared.
 */
async function checkSteps(
  fixture: Fixture,
  steps: number,
  changes: Partial<AdamwSettings>,
): Promise<void> {
  let states: AdamwParameter[] = sizes.map((size) => ({
    value: fixture.values([size], { dtype }),
    gradient: new Float64Array(size),
    first: new Float64Array(size),
    second: new Float64Array(size),
  }));
  const upload = (name: 'value' | 'first' | 'second') =>
    states.map((state) => fixture.tensor(state[name], [state.value.length], { dtype }));
  const [parameters, firstMoments, secondMoments] = [
    upload('value'),
    upload('first'),
    upload('second'),
  ];
  for (let step = 1; step <= steps; step += 1) {
    const options = { ...settings, ...changes, step };
    const drawn = sizes.map((size) => fixture.values([size], { dtype }));
    const gradients = drawn.map((gradient) =>
      fixture.tensor(gradient, [gradient.length], { dtype }),
    );
    const squaredGradientNorms = fixture.output([sizes.length], dtype);
    fixture.device.kernels.squaredNorms({ tensors: gradients, out: squaredGradientNorms });
    fixture.device.kernels.adamw({
      ...options,
      parameters,
      gradients,
      firstMoments,
      secondMoments,
      squaredGradientNorms,
    });
    states = adamw(
      states.map((state, i) => ({ ...state, gradient: at(drawn, i) })),
      options,
    );
  }
  for (const [i, { value, first, second }] of states.entries()) {
    await fixture.assertClose(at(parameters, i), value, `parameter ${i}`);
    await fixture.assertClose(at(firstMoments, i), first, `first moment ${i}`);
    await fixture.assertClose(at(secondMoments, i), second, `second moment ${i}`);
  }
}

async function check(fixture: Fixture, changes: Partial<AdamwSettings>): Promise<void> {
  const options = { ...settings, ...changes };
  const states = sizes.map((size) => ({
    value: fixture.values([size], { dtype }),
    gradient: fixture.values([size], { dtype }),
    first: fixture.values([size], { dtype, scale: 0.1 }),
    second: fixture.values([size], { dtype, scale: 0.1 }).map(Math.abs),
  }));
  const upload = (values: readonly Float64Array[]) =>
    values.map((value) => fixture.tensor(value, [value.length], { dtype }));
  const [parameters, gradients] = [
    upload(states.map(({ value }) => value)),
    upload(states.map(({ gradient }) => gradient)),
  ];
  const [firstMoments, secondMoments] = [
    upload(states.map(({ first }) => first)),
    upload(states.map(({ second }) => second)),
  ];
  const squaredGradientNorms = fixture.output([sizes.length], dtype);
  fixture.device.kernels.squaredNorms({ tensors: gradients, out: squaredGradientNorms });
  fixture.device.kernels.adamw({
    ...options,
    parameters,
    gradients,
    firstMoments,
    secondMoments,
    squaredGradientNorms,
  });
  for (const [i, expected] of adamw(states, options).entries()) {
    const [parameter, first, second] = [parameters[i], firstMoments[i], secondMoments[i]];
    if (!parameter || !first || !second) throw new Error(`parameter ${i} is missing`);
    await fixture.assertClose(parameter, expected.value, `parameter ${i}`);
    await fixture.assertClose(first, expected.first, `first moment ${i}`);
    await fixture.assertClose(second, expected.second, `second moment ${i}`);
  }
}

/**
 * One update a part, with learning rates of their own and the norms of all: what one update with
 * each rate makes of that part.
 */
async function checkParts(fixture: Fixture): Promise<void> {
  const states: AdamwParameter[] = sizes.map((size) => ({
    value: fixture.values([size], { dtype }),
    gradient: fixture.values([size], { dtype }),
    first: fixture.values([size], { dtype, scale: 0.1 }),
    second: fixture.values([size], { dtype, scale: 0.1 }).map(Math.abs),
  }));
  const upload = (name: keyof AdamwParameter) =>
    states.map((state) => fixture.tensor(state[name], [state.value.length], { dtype }));
  const lists = {
    parameters: upload('value'),
    gradients: upload('gradient'),
    firstMoments: upload('first'),
    secondMoments: upload('second'),
  };
  const squaredGradientNorms = fixture.output([sizes.length], dtype);
  fixture.device.kernels.squaredNorms({ tensors: lists.gradients, out: squaredGradientNorms });
  const clipped = { ...settings, maxGradientNorm: 0.5 };
  const parts = [
    { from: 0, to: 2, options: { ...clipped, learningRate: 0.01 } },
    { from: 2, to: 3, options: { ...clipped, learningRate: 0.16 } },
  ];
  for (const { from, to, options } of parts) {
    const part = (list: readonly Tensor[]) => list.slice(from, to);
    fixture.device.kernels.adamw({
      ...options,
      parameters: part(lists.parameters),
      gradients: part(lists.gradients),
      firstMoments: part(lists.firstMoments),
      secondMoments: part(lists.secondMoments),
      squaredGradientNorms,
    });
  }
  for (const { from, to, options } of parts) {
    const expected = adamw(states, options);
    for (let i = from; i < to; i += 1) {
      const { value, first, second } = at(expected, i);
      await fixture.assertClose(at(lists.parameters, i), value, `parameter ${i}`);
      await fixture.assertClose(at(lists.firstMoments, i), first, `first moment ${i}`);
      await fixture.assertClose(at(lists.secondMoments, i), second, `second moment ${i}`);
    }
  }
}

export const adamwCases: readonly CaseDefinition[] = group('adamw', {
  'takes the first step': (fixture) => check(fixture, {}),
  'corrects the bias of a later step': (fixture) => check(fixture, { step: 17 }),
  'clips to the global norm': (fixture) => check(fixture, { maxGradientNorm: 1 }),
  'leaves gradients below the limit': (fixture) =>
    check(fixture, { maxGradientNorm: 1e6, step: 3 }),
  'decays weights apart from the gradient': (fixture) =>
    check(fixture, { weightDecay: 0.1, step: 2 }),
  'takes three steps with clipping and weight decay': (fixture) =>
    checkSteps(fixture, 3, { maxGradientNorm: 0.5, weightDecay: 0.1 }),
  'updates parts with rates of their own, clipped to the norm of all': checkParts,
  'takes three steps without clipping': (fixture) => checkSteps(fixture, 3, { weightDecay: 0.01 }),
});
