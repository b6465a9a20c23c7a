import { at, get } from '@emloc/checked';
import type { Grid } from '@emloc/device';

import { BlockFixture, type BlockOptions } from '../test/fixtures.js';
import { inferBlock } from './forward.js';
import { planGradients } from './gradient-plan.js';
import { activation } from './operations/activation.js';
import { add } from './operations/add.js';
import { attention } from './operations/attention.js';
import { convolution, type ConvolutionShape } from './operations/convolution.js';
import { embedding } from './operations/embedding.js';
import { frozenLinear } from './operations/frozen-linear.js';
import { groupNorm } from './operations/group-norm.js';
import { ProgramBuilder, type Program } from './program.js';

const channels = 4;

function convolutionProgram(shape: Omit<ConvolutionShape, 'name'>, width = channels): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'pixels');
  return block.build({ x: convolution(block, x, { name: 'conv', ...shape }) });
}

/** Offsets and grids of a layout of images. */
function images(
  name: string,
  grids: readonly Grid[],
): Required<Pick<BlockOptions, 'grids' | 'layouts'>> {
  const offsets = grids.reduce<number[]>(
    (sums, { height, width }) => [...sums, (sums.at(-1) ?? 0) + height * width],
    [0],
  );
  return { layouts: { [name]: offsets }, grids: { [name]: grids } };
}

function optionsOf(pixels: readonly Grid[], others: readonly Grid[]): BlockOptions {
  const [from, to] = [images('pixels', pixels), images('others', others)];
  return {
    adapted: [],
    layouts: { ...from.layouts, ...to.layouts },
    grids: { ...from.grids, ...to.grids },
  };
}

async function outputOf(fixture: BlockFixture): Promise<Float32Array> {
  const { program, device } = fixture;
  const output = get(inferBlock(program, fixture.bind(false), fixture.inputs()).outputs, 'x');
  const values = (await device.download(output)) as Float32Array;
  output.dispose();
  fixture.release();
  return values;
}

interface Convolution {
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  /** Of one image, whose first pixel is a row of x. */
  readonly grid: Grid;
  readonly start: number;
  readonly stride: number;
  readonly upsample: number;
}

/** One output value: its channel of the output pixel (y, x), by the definition. */
function expectedAt(
  { x, weight, bias, grid, start, stride, upsample }: Convolution,
  [row, column, channel]: readonly [number, number, number],
): number {
  const inputs = weight.length / bias.length / 9;
  let sum = at(bias, channel);
  for (let tap = 0; tap < 9; tap += 1) {
    const shift = stride === 1 ? 1 : 0;
    const y = row * stride - shift + Math.floor(tap / 3);
    const z = column * stride - shift + (tap % 3);
    if (y < 0 || z < 0 || y >= grid.height * upsample || z >= grid.width * upsample) continue;
    const pixel = start + Math.floor(y / upsample) * grid.width + Math.floor(z / upsample);
    for (let i = 0; i < inputs; i += 1)
      sum += at(x, pixel * inputs + i) * at(weight, (channel * inputs + i) * 9 + tap);
  }
  return sum;
}

/** All values of all images. */
function expectedOutput(
  fixture: BlockFixture,
  { stride = 1, upsample = 1, outChannels }: Omit<ConvolutionShape, 'name' | 'rows'>,
  pixels: readonly Grid[],
): number[] {
  const [x, weight, bias] = ['x', 'conv.weight', 'conv.bias'].map((name) =>
    get(fixture.host, name),
  ) as [Float32Array, Float32Array, Float32Array];
  const values: number[] = [];
  let start = 0;
  for (const grid of pixels) {
    const image = { x, weight, bias, grid, start, stride, upsample };
    for (let row = 0; row < Math.floor((grid.height * upsample) / stride); row += 1)
      for (let column = 0; column < Math.floor((grid.width * upsample) / stride); column += 1)
        for (let channel = 0; channel < outChannels; channel += 1)
          values.push(expectedAt(image, [row, column, channel]));
    start += grid.height * grid.width;
  }
  return values;
}

function expectClose(actual: Float32Array, expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const errors = expected.map((value, i) => Math.abs(at(actual, i) - value) / largest);
  expect(Math.max(...errors)).toBeLessThan(1e-5);
}

describe('a convolution', () => {
  it.each([
    ['keeps the size of each image', {}, [4, 3]],
    ['takes every second pixel, with zeros right and below', { stride: 2 }, [2, 1]],
    ['enlarges each image first', { upsample: 2 }, [8, 6]],
  ] as const)('%s', async (_name, kind, [height, width]) => {
    const pixels = [
      { height: 4, width: 3 },
      { height: 2, width: 6 },
    ];
    const second = { height: height / 2, width: width * 2 };
    const others = [
      { height, width },
      kind === undefined || !('stride' in kind) ? second : { height: 1, width: 3 },
    ];
    const shape = { outChannels: 5, ...kind, rows: 'others' };
    const fixture = new BlockFixture(convolutionProgram(shape), optionsOf(pixels, others));
    expectClose(await outputOf(fixture), expectedOutput(fixture, shape, pixels));
    await fixture.close();
  });

  it('gathers at most 64 MiB of patches at a time, with the same result', async () => {
    const [grid, width] = [{ height: 62, width: 64 }, 512];
    const shape = { outChannels: 3, rows: 'pixels' };
    const program = convolutionProgram(shape, width);
    const fixture = new BlockFixture(program, { adapted: [], ...images('pixels', [grid]) });
    const scope = fixture.device.budget.openPeakScope();
    const output = await outputOf(fixture);
    // The patches of all pixels would take 70 MiB, x takes 8.
    expect(scope.close()).toBeLessThan(2 ** 26 + 10 * 2 ** 20);
    const [x, weight, bias] = ['x', 'conv.weight', 'conv.bias'].map((name) =>
      get(fixture.host, name),
    ) as [Float32Array, Float32Array, Float32Array];
    const image = { x, weight, bias, grid, start: 0, stride: 1, upsample: 1 };
    for (const row of [0, 30, 56, 57, 61])
      for (const column of [0, 63])
        expect(at(output, (row * 64 + column) * 3 + 1)).toBeCloseTo(
          expectedAt(image, [row, column, 1]),
          3,
        );
    await fixture.close();
  });

  it('refuses images without a size, and outputs of another size', () => {
    const grid = { height: 4, width: 4 };
    const run = (options: BlockOptions): unknown => {
      const shape = { outChannels: 2, stride: 2, rows: 'others' } as const;
      const fixture = new BlockFixture(convolutionProgram(shape), options);
      return inferBlock(fixture.program, fixture.bind(false), fixture.inputs());
    };
    const offsets = { pixels: [0, 16], others: [0, 4] };
    expect(() => run({ adapted: [], layouts: offsets })).toThrow(
      'convolution conv: no grid of image 0 of pixels',
    );
    expect(() => run(optionsOf([grid], [{ height: 1, width: 4 }]))).toThrow(
      'convolution conv: image 0 of others is 1 x 4, 2 x 2 follows from 4 x 4 of pixels',
    );
  });
});

/** A residual block of an image encoder, with a shortcut of single pixels. */
function residualBlock(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', channels, 'pixels');
  const norm = { groups: 2, epsilon: 1e-6, activation: 'silu' } as const;
  const first = groupNorm(block, x, { ...norm, weight: 'norm1.weight', bias: 'norm1.bias' });
  const h = convolution(block, first, { name: 'conv', outChannels: 6, rows: 'pixels' });
  const second = groupNorm(block, h, { ...norm, weight: 'norm2.weight', bias: 'norm2.bias' });
  const storedShape = [6, channels, 1, 1];
  const shortcut = frozenLinear(block, x, { name: 'shortcut', outFeatures: 6, storedShape });
  return block.build({ x: add(block, shortcut, second) });
}

describe('a residual block of images', () => {
  const options = { adapted: [], ...images('pixels', [{ height: 3, width: 5 }]) };

  it('runs, and leaves nothing but its output', async () => {
    const fixture = new BlockFixture(residualBlock(), options);
    const output = await outputOf(fixture);
    expect(output).toHaveLength(15 * 6);
    expect(output.every(Number.isFinite)).toBe(true);
    await fixture.close();
  });

  it('normalises in the memory of what nobody else needs', async () => {
    const fixture = new BlockFixture(residualBlock(), options);
    const { kernels } = fixture.device;
    const inPlace: boolean[] = [];
    const { groupNorm: launch } = kernels;
    Object.assign(kernels, {
      groupNorm: (given: Parameters<typeof launch>[0]) => {
        inPlace.push(given.x === given.out);
        launch(given);
      },
    });
    await outputOf(fixture);
    expect(inPlace).toEqual([false, true]);
    await fixture.close();
  });

  it('refuses a gradient, and takes one of what comes after it', () => {
    const program = residualBlock();
    const wanted = { adapted: new Set<string>(), inputs: new Set(['x']) };
    expect(() => planGradients(program, wanted)).toThrow(
      'autograd: a gradient through groupNorm, which has no backward',
    );
    const none = planGradients(program, { ...wanted, inputs: new Set() });
    expect(none.visited.every((isVisited) => !isVisited)).toBe(true);
  });
});

/** Attention with a bias that a table gives for distances up to 2, all of them the same beyond. */
function biasedAttention(heads: number): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', 2 * heads, 'rows');
  const relativeBias = embedding(block, {
    ...{ table: 'bias', entries: 3, width: heads },
    ...{ indices: 'buckets', rows: 'distances' },
  });
  const [q, k] = [activation(block, x, 'silu'), activation(block, x, 'quickGelu')];
  const shape = { heads, kvHeads: heads, scale: 1, mask: { kind: 'none' } } as const;
  return block.build({ x: attention(block, { q, k, v: x, ...shape, relativeBias }) });
}

describe('attention with a bias by relative position', () => {
  const [heads, buckets] = [3, [2, 0, 1, 0, 2]];
  const options = { adapted: [], layouts: { distances: [0, buckets.length] } };

  it('adds the bias of the distance between key and query', async () => {
    const fixture = new BlockFixture(biasedAttention(heads), options);
    fixture.integerStreams.set('buckets', buckets);
    const output = await outputOf(fixture);
    const [x, table] = [get(fixture.host, 'x'), get(fixture.host, 'bias')];
    const silu = (value: number, slope = 1) => value / (1 + Math.exp(-slope * value));
    const expected: number[] = [];
    for (let row = 0; row < 7; row += 1) {
      const [start, end] = row < 3 ? [0, 3] : row < 4 ? [3, 4] : [4, 7];
      const value = (key: number, column: number) => at(x, key * 2 * heads + column);
      for (let column = 0; column < 2 * heads; column += 1) {
        const head = Math.floor(column / 2);
        let [total, sum] = [0, 0];
        for (let key = start; key < end; key += 1) {
          const score = [2 * head, 2 * head + 1].reduce(
            (product, i) => product + silu(value(row, i)) * silu(value(key, i), 1.702),
            at(table, at(buckets, key - row + 2) * heads + head),
          );
          total += Math.exp(score);
          sum += Math.exp(score) * value(key, column);
        }
        expected.push(sum / total);
      }
    }
    expectClose(output, expected);
    await fixture.close();
  });

  it('keeps no keys, and refuses a gradient', () => {
    const program = biasedAttention(heads);
    expect(program.caches).toEqual([]);
    expect(() => planGradients(program, { adapted: new Set(), inputs: new Set(['x']) })).toThrow(
      'autograd: a gradient through attention, which has no backward',
    );
  });
});
