import assert from 'node:assert/strict';
import { at } from '@emloc/checked';
import {
  deltaChunks,
  type GatedDeltaRuleOptions,
  type SequenceLayout,
  type Tensor,
} from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import {
  gatedDeltaRule,
  gatedDeltaRuleBackward,
  type DeltaRule,
} from '../reference/gated-delta-rule.js';

/** Below, at and above the end of a chunk. */
const aroundChunks: readonly number[] = [1, 5, 64, 65, 150];
const chunkRows = 64;

interface Variant {
  readonly lengths?: readonly number[];
  readonly keyHeads?: number;
  /** Value heads of a key head. */
  readonly group?: number;
  readonly keys?: number;
  readonly values?: number;
  /** Whether sequences begin with a state, and a gradient comes back from their last. */
  readonly hasEnds?: boolean;
  /** Decays are drawn from −2 · this to 0. */
  readonly decay?: number;
  readonly layout?: Layout;
}

function draw(fixture: Fixture, variant: Variant): DeltaRule {
  const { keys = 12, values = 20, keyHeads = 2, lengths = aroundChunks, decay = 0.2 } = variant;
  const valueHeads = keyHeads * (variant.group ?? 1);
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const gates = { scale: 0.5, dtype: 'float32' } as const;
  // Keys of about length one, as the rule has them: longer ones let the state grow.
  const unit = { scale: Math.sqrt(3 / keys) };
  const state = [lengths.length, valueHeads, keys, values];
  const drawn = fixture.values(state, { dtype: 'float32' });
  return {
    ...{ lengths, keyHeads, valueHeads, keys, values },
    q: fixture.values([rows, keyHeads * keys], unit),
    k: fixture.values([rows, keyHeads * keys], unit),
    v: fixture.values([rows, valueHeads * values]),
    decay: fixture
      .values([rows, valueHeads], { scale: decay, dtype: 'float32' })
      .map((value) => Math.fround(value - decay)),
    strength: fixture.values([rows, valueHeads], gates).map((value) => Math.fround(value + 0.5)),
    initialState: variant.hasEnds ? drawn : drawn.fill(0),
  };
}

interface Sizes {
  readonly keyShape: readonly number[];
  readonly valueShape: readonly number[];
  readonly gateShape: readonly number[];
  readonly ends: readonly number[];
  readonly states: readonly number[];
}

function sizesOf({ lengths, keyHeads, valueHeads, keys, values }: DeltaRule): Sizes {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const chunks = lengths.reduce((sum, length) => sum + Math.ceil(length / chunkRows), 0);
  return {
    keyShape: [rows, keyHeads * keys],
    valueShape: [rows, valueHeads * values],
    gateShape: [rows, valueHeads],
    ends: [lengths.length, valueHeads, keys, values],
    states: [chunks, valueHeads, keys, values],
  };
}

type Operands = Omit<GatedDeltaRuleOptions, 'out' | 'states'>;

function upload(fixture: Fixture, rule: DeltaRule, layout: Layout = 'whole'): Operands {
  const { keyShape, valueShape, gateShape } = sizesOf(rule);
  const gates = { dtype: 'float32', layout } as const;
  return {
    q: fixture.tensor(rule.q, keyShape, { layout }),
    k: fixture.tensor(rule.k, keyShape, { layout }),
    v: fixture.tensor(rule.v, valueShape, { layout }),
    decay: fixture.tensor(rule.decay, gateShape, gates),
    strength: fixture.tensor(rule.strength, gateShape, gates),
    sequences: fixture.sequences(rule.lengths),
    keyHeads: rule.keyHeads,
    valueHeads: rule.valueHeads,
  };
}

/** The states at the start of every chunk. */
function chunkStates({ lengths, initialState }: DeltaRule, after: Float64Array): Float64Array {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const size = after.length / rows;
  let start = 0;
  const states = lengths.flatMap((length, sequence) => {
    const chunks = Array.from({ length: Math.ceil(length / chunkRows) }, (_, chunk) => {
      const before = start + chunk * chunkRows - 1;
      return chunk === 0
        ? initialState.subarray(sequence * size, (sequence + 1) * size)
        : after.subarray(before * size, (before + 1) * size);
    });
    start += length;
    return chunks;
  });
  return Float64Array.from(states.flatMap((state) => [...state]));
}

async function checkForward(fixture: Fixture, variant: Variant = {}): Promise<void> {
  const rule = draw(fixture, variant);
  const sizes = sizesOf(rule);
  const [out, states] = [fixture.output(sizes.valueShape), fixture.output(sizes.states, 'float32')];
  const finalState = fixture.output(sizes.ends, 'float32');
  const initialState = variant.hasEnds
    ? fixture.tensor(rule.initialState, sizes.ends, { dtype: 'float32' })
    : undefined;
  fixture.device.kernels.gatedDeltaRule({
    ...upload(fixture, rule, variant.layout),
    ...{ out, states, initialState, finalState },
  });
  const expected = fixture.reference(() => gatedDeltaRule(rule));
  const asCompute = fixture.compute;
  await fixture.assertClose(out, expected.out, 'out');
  await fixture.assertClose(finalState, expected.finalState, 'finalState', asCompute);
  await fixture.assertClose(states, chunkStates(rule, expected.after), 'states', asCompute);
}

async function checkBackward(fixture: Fixture, variant: Variant = {}): Promise<void> {
  const rule = draw(fixture, variant);
  const sizes = sizesOf(rule);
  const forward = fixture.reference(() => gatedDeltaRule(rule));
  const dOut = fixture.values(sizes.valueShape);
  const drawn = fixture.values(sizes.ends, { dtype: 'float32' });
  const dFinalState = variant.hasEnds ? drawn : drawn.fill(0);
  const states = chunkStates(rule, forward.after);
  const gradients = outputs(fixture, rule);
  fixture.device.kernels.gatedDeltaRuleBackward({
    ...upload(fixture, rule, variant.layout),
    states: fixture.tensor(states, sizes.states, { dtype: 'float32' }),
    dOut: fixture.tensor(dOut, sizes.valueShape, { layout: variant.layout }),
    dFinalState: variant.hasEnds
      ? fixture.tensor(dFinalState, sizes.ends, { dtype: 'float32' })
      : undefined,
    ...gradients,
  });
  const expected = fixture.reference(() =>
    gatedDeltaRuleBackward(rule, forward, { dOut, dFinalState }),
  );
  for (const name of gradientNames)
    await fixture.assertClose(gradients[name], expected[name], name, fixture.compute);
}

const gradientNames = ['dQ', 'dK', 'dV', 'dDecay', 'dStrength', 'dInitialState'] as const;

function outputs(
  fixture: Fixture,
  rule: DeltaRule,
): Record<(typeof gradientNames)[number], Tensor> {
  const { keyShape, valueShape, gateShape, ends } = sizesOf(rule);
  return {
    dQ: fixture.output(keyShape),
    dK: fixture.output(keyShape),
    dV: fixture.output(valueShape),
    dDecay: fixture.output(gateShape, 'float32'),
    dStrength: fixture.output(gateShape, 'float32'),
    dInitialState: fixture.output(ends, 'float32'),
  };
}

/** Of the reference's forward alone, so that its backward is checked with the device's. */
async function checkDifferences(fixture: Fixture): Promise<void> {
  const variant = { lengths: [1, 4], keyHeads: 1, group: 2, keys: 3, values: 2, hasEnds: true };
  const rule = draw(fixture, variant);
  const sizes = sizesOf(rule);
  const [dOut, dFinalState] = [fixture.values(sizes.valueShape), fixture.values(sizes.ends)];
  const loss = (): number => {
    const { out, finalState } = gatedDeltaRule(rule);
    return dot(out, dOut) + dot(finalState, dFinalState);
  };
  const gradients = outputs(fixture, rule);
  const states = chunkStates(rule, gatedDeltaRule(rule).after);
  fixture.device.kernels.gatedDeltaRuleBackward({
    ...upload(fixture, rule),
    states: fixture.tensor(states, sizes.states, { dtype: 'float32' }),
    dOut: fixture.tensor(dOut, sizes.valueShape),
    dFinalState: fixture.tensor(dFinalState, sizes.ends, { dtype: 'float32' }),
    ...gradients,
  });
  const inputs = [rule.q, rule.k, rule.v, rule.decay, rule.strength, rule.initialState];
  for (const [index, name] of gradientNames.entries()) {
    const expected = numericGradient(at(inputs, index), loss);
    await fixture.assertClose(gradients[name], expected, name, fixture.compute);
  }
}

/** Each sequence alone gives the same bits. */
async function checkPacking(fixture: Fixture): Promise<void> {
  const rule = draw(fixture, { lengths: [65, 3, 70], group: 2, keys: 8, values: 8 });
  const { valueShape, ends } = sizesOf(rule);
  const [out, finalState] = [fixture.output(valueShape), fixture.output(ends, 'float32')];
  const operands = upload(fixture, rule);
  const { kernels } = fixture.device;
  kernels.gatedDeltaRule({ ...operands, out, states: null, finalState });
  await fixture.assertClose(out, gatedDeltaRule(rule).out, 'out');
  const [together, states] = [await fixture.read(out), await fixture.read(finalState)];
  let start = 0;
  for (const [sequence, length] of rule.lengths.entries()) {
    const end = start + length;
    const alone = fixture.output([length, at(valueShape, 1)]);
    const state = fixture.output([1, ...ends.slice(1)], 'float32');
    const { q, k, v, decay, strength, ...heads } = operands;
    const [q1, k1, v1, decay1, strength1] = [q, k, v, decay, strength].map((tensor) =>
      tensor.rows(start, end),
    ) as [Tensor, Tensor, Tensor, Tensor, Tensor];
    kernels.gatedDeltaRule({
      ...{ ...heads, q: q1, k: k1, v: v1, decay: decay1, strength: strength1 },
      ...{ sequences: fixture.sequences([length]), out: alone, states: null, finalState: state },
    });
    const [rows, size] = [out.dim(1), state.size];
    const expected = together.subarray(start * rows, end * rows);
    await fixture.assertEqual(alone, expected, `rows ${start} to ${end}`);
    const stateAfter = states.subarray(sequence * size, (sequence + 1) * size);
    await fixture.assertEqual(state, stateAfter, `state after ${length} rows`);
    start = end;
  }
}

/** Row by row with the state handed on, in place. */
async function checkDecoding(fixture: Fixture): Promise<void> {
  const [steps, sequences] = [6, 3];
  const whole = draw(fixture, { lengths: [steps], keyHeads: 2, group: 2, hasEnds: true });
  const { valueShape, ends } = sizesOf(whole);
  const expected = gatedDeltaRule(whole);
  // The same row of every sequence, whose states differ in a factor: so do their answers.
  const factors = Array.from({ length: sequences }, (_, index) => 1 / 2 ** index);
  const scaled = (values: Float64Array): Float64Array =>
    Float64Array.from(factors.flatMap((factor) => [...values].map((value) => factor * value)));
  const state = fixture.tensor(scaled(whole.initialState), [sequences, ...ends.slice(1)], {
    dtype: 'float32',
  });
  for (let step = 0; step < steps; step += 1) {
    const row = (values: Float64Array): Float64Array => {
      const width = values.length / steps;
      return values.slice(step * width, (step + 1) * width);
    };
    const repeated = (values: Float64Array): Float64Array =>
      Float64Array.from(factors.flatMap(() => [...row(values)]));
    const rule = {
      ...{ ...whole, lengths: factors.map(() => 1), q: repeated(whole.q), k: repeated(whole.k) },
      ...{ v: scaled(row(whole.v)), decay: repeated(whole.decay) },
      ...{ strength: repeated(whole.strength) },
    };
    const out = fixture.output([sequences, at(valueShape, 1)]);
    fixture.device.kernels.gatedDeltaRule({
      ...{ ...upload(fixture, rule), out, states: null, initialState: state, finalState: state },
    });
    await fixture.assertClose(out, scaled(row(expected.out)), `step ${step}`);
  }
  await fixture.assertClose(state, scaled(expected.finalState), 'state', fixture.compute);
}

const variants: Readonly<Record<string, Variant>> = {
  'agrees with the step form around the ends of chunks': {},
  'begins with a state and gives the last': { hasEnds: true, group: 2 },
  'takes three value heads of a key head': { keyHeads: 1, group: 3, lengths: [66, 7] },
  'takes heads of 128': {
    ...{ keyHeads: 1, group: 2, keys: 128, values: 128, lengths: [66, 1], hasEnds: true },
  },
  'takes values of another length than keys': {
    ...{ keyHeads: 1, group: 3, keys: 32, values: 16, lengths: [65, 20], hasEnds: true },
  },
  'takes tiny heads': { keyHeads: 1, keys: 1, values: 3, lengths: [3, 67], hasEnds: true },
  'stays finite and right where all is forgotten at once': {
    ...{ decay: 20, lengths: [70, 5], group: 2, hasEnds: true },
  },
  'forgets nothing where there is no decay': { decay: 0, lengths: [90], hasEnds: true },
  'reads row views': { layout: 'rows', lengths: [10, 3], hasEnds: true },
  'passes over sequences without rows': { lengths: [0, 3, 0, 66, 0], hasEnds: true },
};

function byVariant(
  check: (fixture: Fixture, variant: Variant) => Promise<void>,
): Record<string, CaseDefinition['check']> {
  return Object.fromEntries(
    Object.entries(variants).map(([name, variant]) => [
      name,
      (fixture: Fixture) => check(fixture, variant),
    ]),
  );
}

/** What is launched for any sequences of as many rows gives these the same bits. */
async function checkReplaceable(fixture: Fixture, keys: number): Promise<void> {
  const rule = draw(fixture, { lengths: [3, 66, 5, 0], group: 2, keys, values: keys });
  const { valueShape, states: shape } = sizesOf(rule);
  const [, ...state] = shape;
  const dOut = fixture.tensor(fixture.values(valueShape), valueShape);
  const { kernels } = fixture.device;
  const bytesWith = async (change: Partial<SequenceLayout>): Promise<readonly Uint8Array[]> => {
    const operands = upload(fixture, rule);
    const sequences = { ...operands.sequences, ...change };
    const out = fixture.output(valueShape);
    const states = fixture.output([deltaChunks(sequences), ...state], 'float32');
    const gradients = outputs(fixture, rule);
    kernels.gatedDeltaRule({ ...operands, sequences, out, states });
    kernels.gatedDeltaRuleBackward({ ...operands, sequences, states, dOut, ...gradients });
    const results = [out, ...gradientNames.map((name) => gradients[name])];
    return await Promise.all(results.map((tensor) => fixture.bytes(tensor)));
  };
  const exact = await bytesWith({});
  assert.ok(exact.every((bytes) => bytes.some((byte) => byte !== 0)));
  assert.deepEqual(await bytesWith({ isReplaceable: true, maxLength: 128 }), exact);
}

export const gatedDeltaRuleCases: readonly CaseDefinition[] = [
  ...group('gatedDeltaRule', {
    ...byVariant(checkForward),
    'goes on row by row from a state, in place': checkDecoding,
    'gives packed sequences what each has alone, bit for bit': checkPacking,
    'gives replaceable sequences what others have, bit for bit': async (fixture) => {
      for (const keys of [4, 64, 128]) await checkReplaceable(fixture, keys);
    },
  }),
  ...group('gatedDeltaRuleBackward', {
    ...byVariant(checkBackward),
    'gives the gradients of finite differences': checkDifferences,
  }),
];
