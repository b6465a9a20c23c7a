import assert from 'node:assert/strict';
import { DeviceError } from '@emloc/device';

import {
  biasedShapes,
  everything,
  long,
  packed,
  small,
  unscaled,
  variants,
  wide,
  withBias,
} from '../attention-shapes.js';
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

function variantCases(
  verb: string,
  check: (fixture: Fixture, shape: AttentionShape) => Promise<void>,
): Record<string, CaseDefinition['check']> {
  return Object.fromEntries(
    Object.entries(variants).map(([name, shape]) => [
      `${verb} ${name}`,
      (fixture: Fixture) => check(fixture, shape),
    ]),
  );
}

async function refuses(
  fixture: Fixture,
  change: Partial<AttentionShape>,
  message: RegExp,
): Promise<void> {
  await assert.rejects(checkForward(fixture, { ...small, ...change }), (error) => {
    assert.ok(error instanceof DeviceError);
    assert.equal(error.code, 'DEVICE_UNSUPPORTED');
    assert.match(error.message, message);
    return true;
  });
}

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
  const { heads, kvHeads, scale, lengths, longest, mask, softCap, sinks, relativeBias } = shape;
  const table = relativeBias && [relativeBias.length / heads, heads];
  return {
    q: fixture.tensor(q, query, { layout }),
    k: fixture.tensor(k, key, { layout }),
    v: fixture.tensor(v, key, { layout }),
    sequences: { ...fixture.sequences(lengths), ...(longest && { maxLength: longest }) },
    heads,
    kvHeads,
    scale,
    ...(mask && { mask }),
    ...(softCap !== undefined && { softCap }),
    ...(sinks && { sinks: fixture.tensor(sinks, [heads], { layout }) }),
    ...(table && { relativeBias: fixture.tensor(relativeBias, table, { layout }) }),
  };
}

async function checkForward(
  fixture: Fixture,
  shape: AttentionShape,
  { layout = 'whole', scale = 1 }: { layout?: Layout; scale?: number } = {},
): Promise<void> {
  const inputs = createInputs(fixture, shape, scale);
  const expected = fixture.reference(() => attention(inputs, shape));
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
    scale = 1,
    expect = attentionBackward,
  }: { layout?: Layout; scale?: number; expect?: typeof attentionBackward } = {},
): Promise<void> {
  const inputs = createInputs(fixture, shape, scale);
  const { query, key, logSumExp } = shapesOf(shape);
  const dOut = fixture.values(query);
  const forward = fixture.reference(() => attention(inputs, shape));
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
  const expected = fixture.reference(() => expect(inputs, dOut, shape));
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
    ...variantCases('attends', checkForward),
    'attends a window of one row, which is itself': (fixture) =>
      checkForward(fixture, { ...long, mask: { kind: 'window', window: 1 } }),
    'reads row views, sinks among them': (fixture) =>
      checkForward(fixture, everything, { layout: 'rows' }),
    ...Object.fromEntries(
      [6, 32, 64, 128, 264].map((headLength) => [
        `adds a bias by relative position, heads of ${headLength}`,
        async (fixture: Fixture) => {
          const [plain, ...others] = biasedShapes(headLength);
          for (const shape of others) await checkForward(fixture, withBias(fixture, shape, 3));
          for (const reach of [0, 3, 128])
            await checkForward(fixture, withBias(fixture, plain, reach));
        },
      ]),
    ),
    'reads row views, a bias among them': async (fixture) => {
      const shape: AttentionShape = { ...small, mask: { kind: 'none' } };
      await checkForward(fixture, withBias(fixture, shape, 2), { layout: 'rows' });
    },
    'refuses a bias with an even number of distances': async (fixture) => {
      const relativeBias = Array.from(fixture.values([4, 4]));
      await assert.rejects(checkForward(fixture, { ...small, relativeBias }), {
        code: 'DEVICE_SHAPE_MISMATCH',
      });
    },
    'attends one head of 512': (fixture) => checkForward(fixture, wide),
    'attends heads of 512, masked, grouped, capped and with sinks': async (fixture) => {
      const several = { lengths: [70, 1, 30], heads: 4, kvHeads: 2, sinks: [0.5, -2, 3, 0] };
      const grouped = { ...wide, ...several };
      await checkForward(fixture, { ...grouped, mask: { kind: 'causal' } });
      await checkForward(fixture, { ...grouped, mask: { kind: 'window', window: 30 }, softCap: 2 });
    },
    'attends heads of 512, scores without a factor': async (fixture) => {
      for (const shape of unscaled) await checkForward(fixture, shape, { scale: 0.1 });
    },
    'attends heads of 300 and 257': async (fixture) => {
      for (const headLength of [300, 257]) await checkForward(fixture, { ...wide, headLength });
    },
    'reads row views, heads of 512': (fixture) => checkForward(fixture, wide, { layout: 'rows' }),
    'refuses a window of no rows': (fixture) =>
      refuses(fixture, { mask: { kind: 'window', window: 0 } }, /attention: a window of 0 rows/),
    'refuses a soft cap of nothing': (fixture) =>
      refuses(fixture, { softCap: 0 }, /attention: a soft cap of 0/),
    'attends heads of 64 and 128': async (fixture) => {
      await checkForward(fixture, { ...small, headLength: 64, scale: 0.125 });
      await checkForward(fixture, { ...small, headLength: 128, scale: 128 ** -0.5 });
    },
  }),
  ...group('attentionBackward', {
    'gives the gradients of finite differences, grouped heads': (fixture) =>
      checkBackward(fixture, small, { expect: numericGradients }),
    'gives the gradients of finite differences, a window, a soft cap and sinks': (fixture) =>
      checkBackward(fixture, everything, { expect: numericGradients }),
    ...variantCases('gives the gradients of', checkBackward),
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
    'gives the gradients of heads of 512, scores without a factor': async (fixture) => {
      for (const shape of unscaled) await checkBackward(fixture, shape, { scale: 0.1 });
    },
    'gives the gradients of heads of 512, a soft cap and sinks': (fixture) =>
      checkBackward(fixture, {
        ...{ lengths: [5, 30], heads: 2, kvHeads: 1, headLength: 512, scale: 512 ** -0.5 },
        ...{ softCap: 3, sinks: [0.5, -2] },
      }),
    'reads row views': (fixture) => checkBackward(fixture, small, { layout: 'rows' }),
  }),
];
