import { get } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { BlockFixture, values } from '../test/fixtures.js';
import { backwardBlock } from './backward.js';
import { forwardBlock, inferBlock } from './forward.js';
import { planGradients } from './gradient-plan.js';
import { attention } from './operations/attention.js';
import { linear } from './operations/linear.js';
import { ProgramBuilder, type Program } from './program.js';

const [width, count] = [8, 7];

/** Passes x on, and gives what it makes of it to two streams. */
function passing(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const y = linear(block, x, { name: 'y', outFeatures: width });
  return block.build({ x, first: y, second: y });
}

/** One of these numbers a stream, as its gradient. */
function gradientsOf(fixture: BlockFixture, seeds: Readonly<Record<string, number>>) {
  return new Map(
    Object.entries(seeds).map(([stream, seed]): [string, Tensor] => {
      const bytes = new Uint8Array(values(seed, count * width, 1).buffer);
      const source = { bytes, dtype: 'float32' } as const;
      const shape = [count, width];
      return [stream, fixture.device.tensor(source, shape, 'float32', 'activations', stream)];
    }),
  );
}

async function pulledBack(
  seeds: Readonly<Record<string, number>>,
): Promise<{ readonly x: Float32Array; readonly a: Float32Array }> {
  const fixture = new BlockFixture(passing(), { adapted: ['y'] });
  const { program, device } = fixture;
  const bindings = fixture.bind(true);
  const inputs = fixture.inputs();
  const wanted = { adapted: new Set(['y']), inputs: new Set(['x']) };
  const { outputs, saved } = forwardBlock(
    program,
    bindings,
    inputs,
    planGradients(program, wanted),
  );
  for (const tensor of outputs.values()) tensor.dispose();
  const gradients = gradientsOf(fixture, seeds);
  const found = backwardBlock(saved, { bindings, inputs, gradients });
  const x = (await device.download(get(found, 'x'))) as Float32Array;
  const a = (await device.download(get(bindings.gradients, 'y.A'))) as Float32Array;
  for (const tensor of found.values()) tensor.dispose();
  await fixture.close();
  return { x, a };
}

function sum(...parts: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array(), ...others] = parts;
  return first.map((value, index) =>
    others.reduce((total, other) => total + (other[index] ?? Number.NaN), value),
  );
}

function expectClose(found: Float32Array, expected: Float32Array): void {
  found.forEach((value, index) => expect(value).toBeCloseTo(expected[index] ?? Number.NaN, 4));
}

describe('a block whose streams are one value, or one that it read', () => {
  it('gives each of them, and its input stays', async () => {
    const fixture = new BlockFixture(passing(), { adapted: [] });
    const inputs = fixture.inputs();
    const { outputs } = inferBlock(fixture.program, fixture.bind(false), inputs);
    const download = async (tensor: Tensor): Promise<Float32Array> =>
      (await fixture.device.download(tensor)) as Float32Array;
    const [first, second] = [get(outputs, 'first'), get(outputs, 'second')];
    expect(await download(first)).toEqual(await download(second));
    expect(await download(get(outputs, 'x'))).toEqual(get(fixture.host, 'x'));
    for (const tensor of outputs.values()) tensor.dispose();
    expect(await download(get(inputs, 'x'))).toEqual(get(fixture.host, 'x'));
    await fixture.close();
  });

  it('has the sum of their gradients', async () => {
    const all = await pulledBack({ x: 1, first: 2, second: 3 });
    const [passed, first, second] = [
      await pulledBack({ x: 1 }),
      await pulledBack({ first: 2 }),
      await pulledBack({ second: 3 }),
    ];
    expect(passed.x).toEqual(values(1, count * width, 1));
    expect(passed.a.every((value) => value === 0)).toBe(true);
    expectClose(all.x, sum(passed.x, first.x, second.x));
    expectClose(all.a, sum(first.a, second.a));
  });
});

it('gives the gradients of those streams alone that are wanted', async () => {
  const block = new ProgramBuilder();
  const [x, k] = [block.input('x', width, 'rows'), block.input('k', 4, 'rows')];
  const y = attention(block, { q: x, k, v: k, heads: 2, kvHeads: 1, scale: 0.5 });
  const fixture = new BlockFixture(block.build({ y }), { adapted: [] });
  const bindings = fixture.bind(true);
  const inputs = fixture.inputs();
  const plan = planGradients(fixture.program, { adapted: new Set(), inputs: new Set(['x']) });
  const { outputs, saved } = forwardBlock(fixture.program, bindings, inputs, plan);
  const gradients = gradientsOf(fixture, { y: 1 });
  const found = backwardBlock(saved, { bindings, inputs, gradients });
  expect([...found.keys()]).toEqual(['x']);
  for (const tensor of [...outputs.values(), ...found.values()]) tensor.dispose();
  await fixture.close();
});
