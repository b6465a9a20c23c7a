import { at } from '@emloc/checked';

import {
  expectGradients,
  forward,
  gradientsOf,
  infer,
  largest,
  outputWeights,
  pullBack,
} from '../test/check-gradients.js';
import {
  BlockFixture,
  decoderBlock,
  joinedLinears,
  rows,
  sharedKeys,
  twoLinears,
  type BlockOptions,
} from '../test/fixtures.js';
import { forwardBlock, inferBlock } from './forward.js';
import { planGradients } from './gradient-plan.js';
import type { Program } from './program.js';

const everything = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'];

describe('gradients agree with finite differences', () => {
  it.each<[string, () => Program, BlockOptions]>([
    ['two linears', twoLinears, { adapted: ['first', 'second'] }],
    ['keys that two attentions read', sharedKeys, { adapted: ['k', 'q1', 'q2'] }],
    ['joined columns', joinedLinears, { adapted: ['left', 'right', 'out'] }],
    ['joined columns, one part adapted', joinedLinears, { adapted: ['right'] }],
    ['two linears, the first adapted', twoLinears, { adapted: ['first'] }],
    [
      'two low-rank linears',
      twoLinears,
      { adapted: ['first', 'second'], lowRank: ['first', 'second'] },
    ],
    ['a decoder block, all adapted', decoderBlock, { adapted: everything }],
    ['a decoder block, some adapted', decoderBlock, { adapted: ['v', 'gate'] }],
    ['a decoder block, none adapted', decoderBlock, { adapted: [] }],
    [
      'a decoder block of low rank, all adapted',
      decoderBlock,
      { adapted: everything, lowRank: everything },
    ],
    [
      'a decoder block whose factors hold its adapters',
      decoderBlock,
      { adapted: everything, lowRank: everything, lent: true },
    ],
    ['two linears with magnitudes', twoLinears, { adapted: ['first', 'second'], dora: true }],
    ['a decoder block with magnitudes', decoderBlock, { adapted: everything, dora: true }],
    [
      'a decoder block with magnitudes, some adapted, with dropout',
      decoderBlock,
      { adapted: ['q', 'v', 'down'], dora: true, dropout: 0.4 },
    ],
    ['two linears with dropout', twoLinears, { adapted: ['first', 'second'], dropout: 0.4 }],
    ['a decoder block with dropout', decoderBlock, { adapted: everything, dropout: 0.4 }],
    [
      'a decoder block of low rank with dropout, some adapted',
      decoderBlock,
      { adapted: ['q', 'v', 'down'], lowRank: everything, dropout: 0.4 },
    ],
    [
      'a decoder block, partly of low rank',
      decoderBlock,
      { adapted: ['q', 'down'], lowRank: ['q', 'k', 'up'] },
    ],
  ])('%s', async (_name, program, options) => {
    await expectGradients(program(), options);
  });
});

describe('a block', () => {
  it('has the same adapter gradients whether its input needs one or not', async () => {
    const fixture = new BlockFixture(decoderBlock(), { adapted: everything });
    const withInput = await gradientsOf(fixture, true);
    const without = await gradientsOf(fixture, false);
    expect(without.has('x')).toBe(false);
    for (const name of fixture.parameters) expect(without.get(name)).toEqual(withInput.get(name));
    await fixture.close();
  });

  it('has the same output with dropout each time, and another without', async () => {
    const run = async (dropout: number): Promise<unknown> => {
      const fixture = new BlockFixture(decoderBlock(), { adapted: everything, dropout });
      const output = infer(fixture.program, fixture.bind(false), fixture.inputs());
      const values = await fixture.device.download(output);
      output.dispose();
      await fixture.close();
      return values;
    };
    const dropped = await run(0.4);
    expect(await run(0.4)).toEqual(dropped);
    expect(await run(0)).not.toEqual(dropped);
  });

  it('gives the output of the weights that DoRA stands for', async () => {
    const fixture = new BlockFixture(twoLinears(), { adapted: ['first', 'second'], dora: true });
    const output = infer(fixture.program, fixture.bind(false), fixture.inputs());
    const actual = (await fixture.device.download(output)) as Float32Array;
    const expected = Float32Array.from(fixture.mergedOutputs(['first', 'second']));
    expect(largest(actual.map((value, index) => value - at(expected, index)))).toBeLessThan(
      1e-5 * largest(expected),
    );
    output.dispose();
    await fixture.close();
  });

  it('refuses magnitudes where a weight is its factors', async () => {
    const fixture = new BlockFixture(twoLinears(), { adapted: ['first'], dora: true });
    const bindings = fixture.bind(false);
    const factors = fixture.upload(new Float32Array(6 * 8), [6, 8]);
    const linear: typeof bindings.linear = (name) =>
      name === 'first'
        ? {
            kind: 'lowRank',
            u: fixture.upload(new Float32Array(36), [6, 6]),
            v: factors,
            bias: null,
          }
        : bindings.linear(name);
    expect(() => infer(fixture.program, { ...bindings, linear }, fixture.inputs())).toThrow(
      'DoRA needs a whole weight',
    );
    await fixture.close();
  });

  it('gives the output that adapters beside the factors give when they are part of them', async () => {
    const outputs: Float32Array[] = [];
    for (const lent of [false, true]) {
      const fixture = new BlockFixture(decoderBlock(), {
        adapted: everything,
        lowRank: everything,
        lent,
      });
      const output = infer(fixture.program, fixture.bind(false), fixture.inputs());
      outputs.push((await fixture.device.download(output)) as Float32Array);
      output.dispose();
      await fixture.close();
    }
    const [beside, part] = outputs as [Float32Array, Float32Array];
    expect(largest(part.map((value, index) => value - (beside[index] ?? 0)))).toBeLessThan(
      1e-5 * largest(beside),
    );
  });

  it('gives the same output whether it keeps tensors for a backward or not', async () => {
    const fixture = new BlockFixture(decoderBlock(), { adapted: everything });
    const bindings = fixture.bind(true);
    const inputs = fixture.inputs();
    const inferred = infer(fixture.program, bindings, inputs);
    const { output, saved } = forward(
      fixture.program,
      bindings,
      inputs,
      planGradients(fixture.program, {
        adapted: new Set(everything),
        inputs: new Set(['x']),
      }),
    );
    expect(await fixture.device.download(output)).toEqual(await fixture.device.download(inferred));
    for (const tensor of [inferred, output]) tensor.dispose();
    saved.dispose();
    await fixture.close();
  });

  it('goes back with weights that were read again in between', async () => {
    const fixture = new BlockFixture(decoderBlock(), { adapted: everything });
    const expected = await gradientsOf(fixture, true);
    const { device, program } = fixture;
    const first = fixture.bind(true);
    const x = device.tensor(
      {
        bytes: new Uint8Array((fixture.host.get('x') ?? new Float32Array()).slice().buffer),
        dtype: 'float32',
      },
      [rows, 8],
      'float32',
      'saved',
      'x',
    );
    const inputs = new Map([['x', x]]);
    const { output, saved } = forward(
      program,
      first,
      inputs,
      planGradients(program, { adapted: new Set(everything), inputs: new Set(['x']) }),
    );
    output.dispose();
    fixture.release();
    const again = fixture.bind(true);
    const dOut = device.tensor(
      { bytes: new Uint8Array(outputWeights(fixture.program).buffer), dtype: 'float32' },
      [rows, 8],
      'float32',
      'activations',
      'dOut',
    );
    const dX = pullBack(saved, { bindings: again, inputs, dOut });
    for (const [name, tensor] of again.gradients)
      expect([name, await device.download(tensor)]).toEqual([name, expected.get(name)]);
    for (const tensor of [x, dX]) tensor?.dispose();
    await fixture.close();
  });

  it('adds to gradients that are there already', async () => {
    const fixture = new BlockFixture(twoLinears(), { adapted: ['first'] });
    const once = (await gradientsOf(fixture, false)).get('first.B') ?? new Float32Array();
    const { device, program } = fixture;
    const bindings = fixture.bind(true);
    const inputs = fixture.inputs();
    for (let turn = 0; turn < 2; turn += 1) {
      const { output, saved } = forward(
        program,
        bindings,
        inputs,
        planGradients(program, { adapted: new Set(['first']), inputs: new Set<string>() }),
      );
      output.dispose();
      const dOut = device.tensor(
        { bytes: new Uint8Array(outputWeights(fixture.program).buffer), dtype: 'float32' },
        [rows, 8],
        'float32',
        'activations',
        'dOut',
      );
      expect(pullBack(saved, { bindings, inputs, dOut })).toBeNull();
    }
    const gradient = bindings.gradients.get('first.B');
    const twice = gradient
      ? ((await device.download(gradient)) as Float32Array)
      : new Float32Array();
    expect(largest(twice.map((value, index) => value - 2 * (once[index] ?? 0)))).toBeLessThan(
      1e-5 * largest(twice),
    );
    await fixture.close();
  });

  it("shows every linear layer's input and its output without bias", () => {
    const fixture = new BlockFixture(decoderBlock(), { adapted: [] });
    const seen: string[] = [];
    const bindings = {
      ...fixture.bind(false),
      onLinear: (name: string, x: { shape: readonly number[] }, y: { shape: readonly number[] }) =>
        seen.push(`${name} ${x.shape.join('x')} ${y.shape.join('x')}`),
    };
    infer(fixture.program, bindings, fixture.inputs()).dispose();
    expect(seen).toEqual([
      'q 7x8 7x8',
      'k 7x8 7x4',
      'v 7x8 7x4',
      'o 7x8 7x8',
      'gate 7x8 7x12',
      'up 7x8 7x12',
      'down 7x12 7x8',
    ]);
    return fixture.close();
  });

  it('leaves nothing on the device when a weight is missing, forward or backward', async () => {
    const fixture = new BlockFixture(decoderBlock(), { adapted: everything });
    const { device, program } = fixture;
    const plan = planGradients(program, { adapted: new Set(everything), inputs: new Set(['x']) });
    const whole = fixture.bind(true);
    const inputs = fixture.inputs();
    const broken = {
      ...whole,
      linear: (name: string) => {
        if (name === 'gate') throw new Error('no gate');
        return whole.linear(name);
      },
    };
    const before = device.liveTensors;
    expect(() => inferBlock(program, broken, inputs)).toThrow('no gate');
    expect(() => forwardBlock(program, broken, inputs, plan)).toThrow('no gate');
    expect(device.liveTensors).toBe(before);
    const { output, saved } = forward(program, whole, inputs, plan);
    output.dispose();
    const dOut = device.tensor(
      { bytes: new Uint8Array(outputWeights(fixture.program).buffer), dtype: 'float32' },
      [rows, 8],
      'float32',
      'activations',
      'dOut',
    );
    expect(() => pullBack(saved, { bindings: broken, inputs, dOut })).toThrow('no gate');
    expect(device.liveTensors).toBe(before);
    await fixture.close();
  });
});

describe('what a forward keeps', () => {
  const program = decoderBlock();
  const linearInput = (name: string): number => {
    const operation = program.operations.find(({ linear }) => linear === name);
    return operation?.inputs.at(0)?.id ?? -1;
  };

  it('holds activations alone: no weight, no block input, nothing twice', () => {
    const fixture = new BlockFixture(decoderBlock(), { adapted: everything });
    const bindings = fixture.bind(true);
    const bound = fixture.device.liveTensors;
    const { output, saved } = forward(
      program,
      bindings,
      fixture.inputs(),
      planGradients(program, { adapted: new Set(everything), inputs: new Set(['x']) }),
    );
    output.dispose();
    const kept = [...saved.values.values(), ...[...saved.aux.values()].flat()];
    expect(kept.length).toBeGreaterThan(0);
    expect(new Set(kept).size).toBe(kept.length);
    for (const { id } of program.inputs.values()) expect(saved.values.has(id)).toBe(false);
    for (const { shape } of kept) expect(shape).toContain(rows);
    expect(fixture.device.liveTensors).toBe(bound + 1 + kept.length);
    saved.dispose();
    expect(fixture.device.liveTensors).toBe(bound + 1);
    return fixture.close();
  });

  it('runs norms and activations again instead of keeping their outputs', () => {
    const plan = planGradients(program, { adapted: new Set(everything), inputs: new Set(['x']) });
    for (const name of ['q', 'gate', 'down']) {
      expect(plan.kept.has(linearInput(name))).toBe(false);
      expect(plan.recomputed.has(linearInput(name))).toBe(true);
    }
  });

  it('visits nothing below the only adapter where the input needs no gradient', () => {
    const plan = planGradients(program, { adapted: new Set(['down']), inputs: new Set<string>() });
    const visited = program.operations
      .filter((_, index) => plan.visited[index])
      .map(({ name }) => name);
    expect(visited).toEqual(['linear', 'add']);
    for (const input of program.inputs.values()) expect(plan.needsGradient(input)).toBe(false);
  });
});
