import { at } from '@emloc/checked';

import { expectGradients, infer } from '../test/check-gradients.js';
import { BlockFixture, values } from '../test/fixtures.js';
import { add } from './operations/add.js';
import { causalConvolution } from './operations/causal-convolution.js';
import { gatedActivation } from './operations/gated-activation.js';
import { gatedDeltaRule } from './operations/gated-delta-rule.js';
import { l2Norm } from './operations/l2-norm.js';
import { linear } from './operations/linear.js';
import { rmsNorm } from './operations/rms-norm.js';
import { scaleByParameter } from './operations/scale-by-parameter.js';
import { splitColumns } from './operations/split-columns.js';
import { ProgramBuilder, type Program } from './program.js';
import type { Value } from './value.js';

const width = 8;
/** Large, so that norms bend little within the steps of the differences. */
const epsilon = 0.5;

/** A gated delta net: one key head of 4, two value heads of 3. */
function deltaNet(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const project = (name: string, outFeatures: number): Value =>
    linear(block, x, { name, outFeatures });
  const convolved = causalConvolution(block, project('qkv', 14), { weight: 'conv', taps: 3 });
  const [q, k, v] = splitColumns(block, convolved, { widths: [4, 4, 6] });
  const normed = (from: Value | undefined, scale: number): Value =>
    l2Norm(block, from ?? convolved, { heads: 1, epsilon, scale });
  const ruled = gatedDeltaRule(block, {
    ...{ q: normed(q, 0.5), k: normed(k, 1), v: v ?? convolved },
    ...{ a: project('a', 2), b: project('b', 2), logDecay: 'logDecay', offset: 'offset' },
    ...{ keyHeads: 1, valueHeads: 2 },
  });
  const up = rmsNorm(block, ruled, { weight: 'norm', epsilon, heads: 2 });
  const gated = gatedActivation(block, { gate: project('z', 6), up, kind: 'silu' });
  return block.build({ x: linear(block, gated, { name: 'out', outFeatures: width }) });
}

/** A linear that reads the convolution itself, whose output is then made once more. */
function convolvedLinear(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const inner = linear(block, x, { name: 'in', outFeatures: 6 });
  const convolved = causalConvolution(block, inner, { weight: 'conv', taps: 4 });
  return block.build({ x: linear(block, convolved, { name: 'out', outFeatures: width }) });
}

function normedLinear(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const inner = linear(block, x, { name: 'in', outFeatures: 6 });
  const normed = l2Norm(block, inner, { heads: 2, epsilon });
  return block.build({ x: linear(block, normed, { name: 'out', outFeatures: width }) });
}

/** A sigmoid gate on heads that are normed without a weight, and a residual sum that is scaled. */
function gatedHeads(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const heads = linear(block, x, { name: 'heads', outFeatures: width });
  const up = rmsNorm(block, heads, { weight: null, epsilon, heads: 2 });
  const gate = linear(block, x, { name: 'gate', outFeatures: width });
  const gated = gatedActivation(block, { gate, up, kind: 'sigmoid' });
  const scaled = scaleByParameter(block, gated, 'scalar');
  return block.build({ x: add(block, x, add(block, scaled, gated)) });
}

describe('gradients agree with finite differences', () => {
  it.each<[string, () => Program, readonly string[]]>([
    ['a gated delta net', deltaNet, ['qkv', 'z', 'a', 'b', 'out']],
    ['a gated delta net, one gate adapted', deltaNet, ['b']],
    ['a linear after a causal convolution', convolvedLinear, ['in', 'out']],
    ['a linear after an l2 norm', normedLinear, ['in', 'out']],
    ['a sigmoid gate, norms without a weight and a scalar', gatedHeads, ['heads', 'gate']],
  ])('%s', async (_name, program, adapted) => {
    await expectGradients(program(), { adapted });
  });
});

/** Rows of two sequences: what each has in turn, and where their states are. */
const turns: readonly { readonly rows: readonly (readonly number[])[]; goesOn: boolean }[] = [
  { rows: [[0, 1], [4]], goesOn: false },
  { rows: [[2], [5]], goesOn: true },
  { rows: [[3], [6]], goesOn: true },
];
const places: readonly number[] = [2, 0];

/** Takes rows of x through a program, with or without states. */
async function run(
  program: Program,
  x: Float32Array,
  { lengths, states }: { lengths: readonly number[]; states?: StateTurn },
): Promise<Float32Array> {
  const offsets = lengths.reduce((sums, length) => [...sums, (sums.at(-1) ?? 0) + length], [0]);
  const fixture = new BlockFixture(program, { adapted: [], layouts: { rows: offsets } });
  fixture.host.set('x', x);
  const { device } = fixture;
  const bindings = fixture.bind(false);
  const tensors = states?.values.map((held, index) => {
    const { width: each } = at(program.states, index);
    return fixture.upload(held, [held.length / each, each]);
  });
  const at32 = device.tensor(
    { bytes: new Uint8Array(Int32Array.from(places).buffer), dtype: 'int32' },
    [places.length],
    'int32',
    'activations',
    'places',
  );
  const goesOn = states?.goesOn ?? false;
  const state = tensors && {
    state: (index: number) => ({ values: at(tensors, index), places: at32, goesOn }),
  };
  const output = infer(program, { ...bindings, ...state }, fixture.inputs());
  const found = (await device.download(output)) as Float32Array;
  for (const [index, tensor] of tensors?.entries() ?? [])
    states?.values[index]?.set((await device.download(tensor)) as Float32Array);
  output.dispose();
  at32.dispose();
  await fixture.close();
  return found;
}

interface StateTurn {
  /** By number; kept up to date. */
  readonly values: readonly Float32Array[];
  readonly goesOn: boolean;
}

describe('a delta net that goes on row by row', () => {
  it('gives what it gives for whole sequences', async () => {
    const program = deltaNet();
    expect(program.states.map(({ width: each, dtype }) => [each, dtype])).toEqual([
      [2 * 14, 'compute'],
      [2 * 4 * 3, 'float32'],
    ]);
    const x = values(3, 7 * width, 1);
    const whole = await run(program, x, { lengths: [4, 3] });
    const rowOf = (from: Float32Array, row: number) =>
      from.subarray(row * width, (row + 1) * width);
    const states = program.states.map(({ width: each }) => new Float32Array(3 * each).fill(NaN));
    for (const { rows, goesOn } of turns) {
      const taken = rows.flat();
      const part = Float32Array.from(taken.flatMap((row) => [...rowOf(x, row)]));
      const lengths = rows.map(({ length }) => length);
      const found = await run(program, part, { lengths, states: { values: states, goesOn } });
      for (const [index, row] of taken.entries())
        rowOf(found, index).forEach((value, i) =>
          expect(value).toBeCloseTo(at(rowOf(whole, row), i), 5),
        );
    }
  });
});

describe('a scalar parameter', () => {
  it('multiplies every element', async () => {
    const block = new ProgramBuilder();
    const x = block.input('x', width, 'rows');
    const fixture = new BlockFixture(block.build({ x: scaleByParameter(block, x, 'scalar') }), {
      adapted: [],
    });
    fixture.host.get('scalar')?.set([-2.5]);
    const output = infer(fixture.program, fixture.bind(false), fixture.inputs());
    const found = await fixture.device.download(output);
    const expected = fixture.host.get('x') ?? new Float32Array();
    found.forEach((value, index) => expect(value).toBe(Math.fround(-2.5 * at(expected, index))));
    expect(found).toHaveLength(expected.length);
    output.dispose();
    await fixture.close();
  });
});
