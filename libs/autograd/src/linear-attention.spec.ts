import { at } from '@emloc/checked';

import { expectGradients, infer } from '../test/check-gradients.js';
import { BlockFixture } from '../test/fixtures.js';
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

describe('a scalar parameter', () => {
  it('multiplies every element', async () => {
    const block = new ProgramBuilder();
    const x = block.input('x', width, 'rows');
    const fixture = new BlockFixture(block.build({ x: scaleByParameter(block, x, 'scalar') }), {
      adapted: [],
    });
    fixture.host.get('scalar')?.set([-2.5]);
    const output = infer(fixture.program, fixture.bind(false), fixture.inputs());
    const values = await fixture.device.download(output);
    const expected = fixture.host.get('x') ?? new Float32Array();
    values.forEach((value, index) => expect(value).toBe(Math.fround(-2.5 * at(expected, index))));
    expect(values).toHaveLength(expected.length);
    output.dispose();
    await fixture.close();
  });
});
