import { at, get } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { backwardBlock, type BackwardInputs } from '../src/backward.js';
import { forwardBlock, forwardBlockAgain, inferBlock } from '../src/forward.js';
import { planGradients } from '../src/gradient-plan.js';
import type { Program } from '../src/program.js';
import type { SavedBlock } from '../src/saved-block.js';
import { BlockFixture, rows, values, type BlockOptions } from './fixtures.js';

/** The only output of a block that is run without keeping anything. */
export function infer(...parameters: Parameters<typeof inferBlock>): Tensor {
  return get(inferBlock(...parameters).outputs, 'x');
}

export function forward(...parameters: Parameters<typeof forwardBlock>): {
  readonly output: Tensor;
  readonly saved: SavedBlock;
} {
  const { outputs, saved } = forwardBlock(...parameters);
  return { output: get(outputs, 'x'), saved };
}

/** The gradient of the only input, null where none was asked for. */
export function pullBack(
  saved: SavedBlock,
  { dOut, ...run }: Omit<BackwardInputs, 'gradients'> & { readonly dOut: Tensor },
): Tensor | null {
  return backwardBlock(saved, { ...run, gradients: new Map([['x', dOut]]) }).get('x') ?? null;
}

/** Weights of the scalar Σ weight · output whose gradient is checked. */
export const outputWeights = ({ outputs }: Program): Float32Array =>
  values(99, rows * get(outputs, 'x').width, 1);

async function scalarOf(fixture: BlockFixture): Promise<number> {
  const output = infer(fixture.program, fixture.bind(false), fixture.inputs());
  const result = (await fixture.device.download(output)) as Float32Array;
  output.dispose();
  fixture.release();
  const weights = outputWeights(fixture.program);
  return result.reduce((sum, value, index) => sum + value * at(weights, index), 0);
}

/** What one forward keeps, or what is made once more of it. */
function keptBy(
  way: 'forward' | 'again',
  ...parameters: Parameters<typeof forwardBlock>
): SavedBlock {
  if (way === 'again') return forwardBlockAgain(...parameters).saved;
  const { output, saved } = forward(...parameters);
  output.dispose();
  return saved;
}

/** Gradients by the engine: of the adapters' matrices and, where asked for, of the input as `x`. */
export async function gradientsOf(
  fixture: BlockFixture,
  inputNeedsGradient: boolean,
  way: 'forward' | 'again' = 'forward',
): Promise<Map<string, Float32Array>> {
  const { device, program } = fixture;
  const bindings = fixture.bind(true);
  const inputs = fixture.inputs();
  const saved = keptBy(
    way,
    program,
    bindings,
    inputs,
    planGradients(program, {
      adapted: new Set(fixture.options.adapted),
      inputs: new Set(inputNeedsGradient ? ['x'] : []),
    }),
  );
  const weights = outputWeights(fixture.program);
  const dOut = device.tensor(
    { bytes: new Uint8Array(weights.buffer), dtype: 'float32' },
    [rows, 8],
    'float32',
    'activations',
    'dOut',
  );
  const dX = pullBack(saved, { bindings, inputs, dOut });
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of bindings.gradients)
    found.set(name, (await device.download(tensor)) as Float32Array);
  if (dX) found.set('x', (await device.download(dX)) as Float32Array);
  dX?.dispose();
  fixture.release();
  expect(device.liveTensors).toBe(0);
  return found;
}

/** Central differences of every element of one host array. */
async function differencesOf(fixture: BlockFixture, name: string): Promise<Float32Array> {
  const host = fixture.host.get(name) ?? new Float32Array();
  const step = 5e-2;
  const differences = new Float32Array(host.length);
  for (const [index, value] of host.entries()) {
    // Fourth order: the step can be large enough for float32 outputs.
    const at = async (offset: number): Promise<number> => {
      host[index] = value + offset;
      return scalarOf(fixture);
    };
    differences[index] =
      (8 * ((await at(step)) - (await at(-step))) -
        ((await at(2 * step)) - (await at(-2 * step)))) /
      (12 * step);
    host[index] = value;
  }
  return differences;
}

export function largest(array: Float32Array): number {
  return array.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

export async function expectGradients(
  program: Program,
  options: BlockOptions,
  integers: Readonly<Record<string, readonly number[]>> = {},
): Promise<void> {
  const fixture = new BlockFixture(program, options);
  for (const [stream, numbers] of Object.entries(integers))
    fixture.integerStreams.set(stream, numbers);
  const found = await gradientsOf(fixture, true);
  expect(await gradientsOf(fixture, true, 'again')).toEqual(found);
  expect([...found.keys()].sort()).toEqual([...fixture.parameters, 'x'].sort());
  for (const [name, gradient] of found) {
    const expected = await differencesOf(fixture, name);
    expect(largest(expected)).toBeGreaterThan(0);
    const error =
      largest(gradient.map((value, index) => value - at(expected, index))) / largest(expected);
    expect([name, error < 2e-3 ? 'agrees' : error]).toEqual([name, 'agrees']);
  }
  await fixture.close();
}
