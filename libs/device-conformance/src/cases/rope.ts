import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { rope, ropeTables } from '../reference/rope.js';

const positionCount = 23;
const rows = 11;
/** Of finite differences, which take the square of their elements. */
const fewRows = 3;

interface Shape {
  readonly heads: number;
  readonly headLength: number;
  readonly rotaryDim?: number;
  readonly pairs?: 'halves' | 'adjacent';
  /** In the tables. */
  readonly factor?: number;
}

const plain: Shape = { heads: 3, headLength: 10 };
/** Of odd and of even sizes, so that narrow and wide accesses are taken. */
const partial: readonly Shape[] = [
  { heads: 3, headLength: 10, rotaryDim: 6 },
  { heads: 2, headLength: 32, rotaryDim: 16 },
  { heads: 2, headLength: 64, rotaryDim: 48 },
];
const adjacent: readonly Shape[] = [
  { heads: 3, headLength: 10 },
  { heads: 2, headLength: 32 },
  { heads: 2, headLength: 32, rotaryDim: 16 },
  { heads: 1, headLength: 14, rotaryDim: 6 },
].map((shape) => ({ ...shape, pairs: 'adjacent' }));

function setUp(
  fixture: Fixture,
  shape: Shape & { readonly rows?: number },
  layout: Layout = 'whole',
) {
  const { rows: count = rows } = shape;
  const { heads, headLength, rotaryDim, pairs, factor } = shape;
  const positions = fixture.indices(count, positionCount);
  const rotated = rotaryDim ?? headLength;
  const tables = ropeTables(positionCount, rotated, factor);
  const tableTensor = (values: Float64Array) =>
    fixture.tensor(values, [positionCount, rotated / 2], { dtype: 'float32' });
  return {
    size: [count, heads * headLength],
    reference: (x: Float64Array) =>
      rope(x, tables, { heads, headLength, positions, rotaryDim, pairs }),
    options: {
      cos: tableTensor(tables.cos),
      sin: tableTensor(tables.sin),
      heads,
      rotaryDim,
      pairs,
      positions: fixture.tensor(positions, [count], { dtype: 'int32', layout }),
    },
  };
}

async function checkForward(
  fixture: Fixture,
  shape: Shape,
  { layout = 'whole', inPlace = false }: { layout?: Layout; inPlace?: boolean } = {},
): Promise<void> {
  const { size, reference, options } = setUp(fixture, shape, layout);
  const x = fixture.values(size);
  const tensor = fixture.tensor(x, size, { layout });
  const out = inPlace ? tensor : fixture.output(size);
  fixture.device.kernels.rope({ ...options, x: tensor, out });
  await fixture.assertClose(out, reference(x), 'out');
}

async function checkInverse(fixture: Fixture, shape: Shape): Promise<void> {
  const { size, reference, options } = setUp(fixture, { ...shape, rows: fewRows });
  const [x, dOut] = [fixture.values(size), fixture.values(size)];
  const dX = fixture.output(size);
  const gradient = fixture.tensor(dOut, size);
  fixture.device.kernels.rope({ ...options, x: gradient, out: dX, inverse: true });
  const expected = numericGradient(x, () => dot(reference(x), dOut));
  await fixture.assertClose(dX, expected, 'dX');
}

export const ropeCases: readonly CaseDefinition[] = group('rope', {
  'rotates the halves of every head by the position': (fixture) => checkForward(fixture, plain),
  'reads row views': (fixture) => checkForward(fixture, plain, { layout: 'rows' }),
  'rotates in place': (fixture) => checkForward(fixture, plain, { inPlace: true }),
  'inverse gives the gradient of finite differences': (fixture) => checkInverse(fixture, plain),
  'rotates a part of every head and copies the rest': async (fixture) => {
    for (const shape of partial) await checkForward(fixture, shape);
  },
  'leaves the rest of every head in place': async (fixture) => {
    for (const shape of partial) await checkForward(fixture, shape, { inPlace: true });
  },
  'rotates neighbours': async (fixture) => {
    for (const shape of adjacent) await checkForward(fixture, shape);
  },
  'rotates neighbours in place': async (fixture) => {
    for (const shape of adjacent) await checkForward(fixture, shape, { inPlace: true });
  },
  'inverse of parts and of neighbours is their gradient, with a factor in the tables': async (
    fixture,
  ) => {
    for (const shape of [...partial, ...adjacent])
      await checkInverse(fixture, { ...shape, factor: 1.25 });
  },
});
