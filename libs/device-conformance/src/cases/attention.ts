import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import {
  attention,
  attentionBackward,
  type AttentionGradients,
  type AttentionInputs,
  type AttentionShape,
} from '../reference/attention.js';

const small: AttentionShape = {
  lengths: [5, 1, 7],
  heads: 4,
  kvHeads: 2,
  headLength: 6,
  scale: 0.4,
};
const long: AttentionShape = {
  lengths: [150, 1, 67],
  heads: 2,
  kvHeads: 1,
  headLength: 8,
  scale: 8 ** -0.5,
};

/** Lengths on both sides of tiles, in one pack. */
const packed = [16, 32, 64].map((headLength): AttentionShape => ({
  lengths: [1, 7, 33, 64, 130],
  heads: 4,
  kvHeads: 2,
  headLength,
  scale: headLength ** -0.5,
}));

function shapesOf({ lengths, heads, kvHeads, headLength }: AttentionShape) {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  return {
    rows,
    query: [rows, heads * headLength],
    key: [rows, kvHeads * headLength],
    logSumExp: [heads, rows],
  };
}

function createInputs(fixture: Fixture, shape: AttentionShape, scale = 1): AttentionInputs {
  const { query, key } = shapesOf(shape);
  return {
    q: fixture.values(query, { scale: 2 * scale }),
    k: fixture.values(key, { scale: 2 }),
    v: fixture.values(key),
  };
}

function optionsOf(
  fixture: Fixture,
  { q, k, v }: AttentionInputs,
  shape: AttentionShape,
  layout: Layout,
) {
  const { query, key } = shapesOf(shape);
  const { heads, kvHeads, scale, lengths } = shape;
  return {
    q: fixture.tensor(q, query, { layout }),
    k: fixture.tensor(k, key, { layout }),
    v: fixture.tensor(v, key, { layout }),
    sequences: fixture.sequences(lengths),
    heads,
    kvHeads,
    scale,
  };
}

async function checkForward(
  fixture: Fixture,
  shape: AttentionShape,
  { layout = 'whole', scale = 1 }: { layout?: Layout; scale?: number } = {},
): Promise<void> {
  const inputs = createInputs(fixture, shape, scale);
  const expected = attention(inputs, shape);
  const shapes = shapesOf(shape);
  const [out, logSumExp] = [
    fixture.output(shapes.query),
    fixture.output(shapes.logSumExp, 'float32'),
  ];
  fixture.device.kernels.attention({
    ...optionsOf(fixture, inputs, shape, layout),
    out,
    logSumExp,
  });
  await fixture.assertClose(out, expected.out, 'out');
  await fixture.assertClose(logSumExp, expected.logSumExp, 'logSumExp', fixture.compute);
}

async function checkBackward(
  fixture: Fixture,
  shape: AttentionShape,
  {
    layout = 'whole',
    expect = attentionBackward,
  }: { layout?: Layout; expect?: typeof attentionBackward } = {},
): Promise<void> {
  const inputs = createInputs(fixture, shape);
  const { query, key, logSumExp } = shapesOf(shape);
  const dOut = fixture.values(query);
  const forward = attention(inputs, shape);
  const [dQ, dK, dV] = [fixture.output(query), fixture.output(key), fixture.output(key)];
  fixture.device.kernels.attentionBackward({
    ...optionsOf(fixture, inputs, shape, layout),
    out: fixture.tensor(forward.out, query, { layout }),
    dOut: fixture.tensor(dOut, query, { layout }),
    logSumExp: fixture.tensor(forward.logSumExp, logSumExp, { dtype: 'float32' }),
    dQ,
    dK,
    dV,
  });
  const expected = expect(inputs, dOut, shape);
  await fixture.assertClose(dQ, expected.dQ, 'dQ');
  await fixture.assertClose(dK, expected.dK, 'dK');
  await fixture.assertClose(dV, expected.dV, 'dV');
}

function numericGradients(
  inputs: AttentionInputs,
  dOut: Float64Array,
  shape: AttentionShape,
): AttentionGradients {
  const loss = () => dot(attention(inputs, shape).out, dOut);
  return {
    dQ: numericGradient(inputs.q, loss),
    dK: numericGradient(inputs.k, loss),
    dV: numericGradient(inputs.v, loss),
  };
}

export const attentionCases: readonly CaseDefinition[] = [
  ...group('attention', {
    'attends causally within packed sequences, grouped heads': (fixture) =>
      checkForward(fixture, small),
    'attends with as many key heads as heads': (fixture) =>
      checkForward(fixture, { ...small, kvHeads: 4 }),
    'attends with one key head': (fixture) => checkForward(fixture, { ...small, kvHeads: 1 }),
    'attends sequences of one token': (fixture) =>
      checkForward(fixture, { ...small, lengths: [1, 1, 1] }),
    'attends sequences longer than a tile': (fixture) => checkForward(fixture, long),
    ...Object.fromEntries(
      packed.map((shape) => [
        `attends packed sequences of 1 to 130 tokens, heads of ${shape.headLength}`,
        (fixture: Fixture) => checkForward(fixture, shape),
      ]),
    ),
    'reads row views': (fixture) => checkForward(fixture, small, { layout: 'rows' }),
    'survives scores whose exponentials overflow': (fixture) =>
      checkForward(fixture, small, { scale: 300 }),
    'attends heads of 64 and 128': async (fixture) => {
      await checkForward(fixture, { ...small, headLength: 64, scale: 0.125 });
      await checkForward(fixture, { ...small, headLength: 128, scale: 128 ** -0.5 });
    },
  }),
  ...group('attentionBackward', {
    'gives the gradients of finite differences, grouped heads': (fixture) =>
      checkBackward(fixture, small, { expect: numericGradients }),
    'gives the gradients of sequences longer than a tile': (fixture) =>
      checkBackward(fixture, long),
    'gives the gradients with as many key heads as heads': (fixture) =>
      checkBackward(fixture, { ...small, kvHeads: 4 }),
    'gives the gradients of heads of 64 and 128': async (fixture) => {
      await checkBackward(fixture, { ...small, headLength: 64, scale: 0.125 });
      await checkBackward(fixture, { ...small, headLength: 128, scale: 128 ** -0.5 });
    },
    ...Object.fromEntries(
      packed.map((shape) => [
        `gives the gradients of packed sequences of 1 to 130 tokens, heads of ${shape.headLength}`,
        (fixture: Fixture) => checkBackward(fixture, shape),
      ]),
    ),
    'reads row views': (fixture) => checkBackward(fixture, small, { layout: 'rows' }),
  }),
];
