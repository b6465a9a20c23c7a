import { get } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { expectGradients } from '../test/check-gradients.js';
import { BlockFixture } from '../test/fixtures.js';
import { backwardBlock } from './backward.js';
import { forwardBlock, inferBlock } from './forward.js';
import { planGradients } from './gradient-plan.js';
import { frozenLinear } from './operations/frozen-linear.js';
import { groupRows } from './operations/group-rows.js';
import { layerNorm } from './operations/layer-norm.js';
import { layerScale } from './operations/layer-scale.js';
import { linear } from './operations/linear.js';
import { placeRows } from './operations/place-rows.js';
import { gatherRows } from './operations/rows.js';
import { ProgramBuilder, type Program } from './program.js';

const width = 8;
const layouts = { picked: [0, 4, 6], pairs: [0, 2, 3], whole: [0, 7] };
const integers = { picked: [5, 0, 2, 6, 1, 4], places: [6, 0, 3] };

/** Rows in pairs through a linear, placed over the rows that they come from. */
function pairsPlaced({ isNormed = true } = {}): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const picked = gatherRows(block, x, { indices: 'picked', rows: 'picked' });
  const pairs = groupRows(block, picked, { count: 2, rows: 'pairs' });
  const normed = isNormed
    ? layerNorm(block, pairs, { epsilon: 1e-5, weight: 'norm.weight', bias: 'norm.bias' })
    : pairs;
  const value = linear(block, normed, { name: 'down', outFeatures: width });
  const base = frozenLinear(block, x, {
    name: 'stem',
    outFeatures: width,
    storedShape: [width, 2, 2, 2],
  });
  const placed = placeRows(block, base, { value, indices: 'places' });
  const scaled = layerScale(block, x, { x: placed, scale: 'ls', whole: 'whole' });
  return block.build({ x: linear(block, scaled, { name: 'out', outFeatures: width }) });
}

describe('operations of images', () => {
  it.each([
    ['all adapted', ['down', 'out']],
    ['the placed part adapted', ['down']],
    ['none adapted', []],
  ])('have the gradients of finite differences, %s', async (_name, adapted) => {
    await expectGradients(pairsPlaced(), { adapted, layouts }, integers);
  });

  it('give a linear that reads grouped rows itself its gradient', async () => {
    const program = pairsPlaced({ isNormed: false });
    await expectGradients(program, { adapted: ['down'], layouts }, integers);
  });

  it('group rows as they lie in memory', async () => {
    const block = new ProgramBuilder();
    const x = block.input('x', width, 'rows');
    const fixture = new BlockFixture(
      block.build({ x: groupRows(block, x, { count: 7, rows: 'one' }) }),
      { adapted: [], layouts: { one: [0, 1] } },
    );
    const output = get(
      inferBlock(fixture.program, fixture.bind(false), fixture.inputs()).outputs,
      'x',
    );
    expect(output.shape).toEqual([1, 7 * width]);
    expect(await fixture.device.download(output)).toEqual(fixture.host.get('x'));
    output.dispose();
    await fixture.close();
  });

  it('refuse a stored shape of another size', () => {
    const block = new ProgramBuilder();
    expect(() => block.parameter('table', [4, 2], [1, 4, 3])).toThrow(
      'table of [4,2] stored as [1,4,3]',
    );
  });
});

/** Names of the kernels that are launched from now on. */
function launchesOf({ kernels }: BlockFixture['device']): readonly string[] {
  const launched: string[] = [];
  for (const name of ['gatherRows', 'layerNorm', 'scatterRows', 'gemm'] as const) {
    const launch = kernels[name] as (options: unknown) => void;
    const recorded = (options: unknown): void => {
      launched.push(name);
      launch.call(kernels, options);
    };
    Object.assign(kernels, { [name]: recorded });
  }
  return launched;
}

describe('layouts without a row', () => {
  const empty = { rows: [0, 3, 4, 7], picked: [0], pairs: [0], whole: [0, 7] };

  it('leave the other rows as they are, and no gradient where nothing was computed', async () => {
    const fixture = new BlockFixture(pairsPlaced(), { adapted: ['down', 'out'], layouts: empty });
    fixture.integerStreams.set('picked', []).set('places', []);
    const { program, device } = fixture;
    const bindings = fixture.bind(true);
    const launched = launchesOf(device);
    const inputs = fixture.inputs();
    const plan = planGradients(program, {
      adapted: new Set(['down', 'out']),
      inputs: new Set(['x']),
    });
    const { outputs, saved } = forwardBlock(program, bindings, inputs, plan);
    expect(launched).toContain('gemm');
    expect(launched).not.toContain('gatherRows');
    expect(launched).not.toContain('layerNorm');
    expect(launched).not.toContain('scatterRows');
    const gradients = new Map<string, Tensor>([['x', get(outputs, 'x')]]);
    const found = backwardBlock(saved, { bindings, inputs, gradients });
    const ofA = await device.download(get(bindings.gradients, 'down.A'));
    const ofOut = await device.download(get(bindings.gradients, 'out.A'));
    expect(ofA.every((value) => value === 0)).toBe(true);
    expect(ofOut.some((value) => value !== 0)).toBe(true);
    get(found, 'x').dispose();
    await fixture.close();
  });
});
