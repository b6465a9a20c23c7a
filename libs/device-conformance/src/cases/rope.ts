import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { rope, ropeTables } from '../reference/rope.js';

const positionCount = 23;
const heads = 3;
const headLength = 10;
const rows = 11;
const shape = [rows, heads * headLength];

function setUp(fixture: Fixture, layout: Layout = 'whole') {
  const positions = fixture.indices(rows, positionCount);
  const tables = ropeTables(positionCount, headLength);
  const tableTensor = (values: Float64Array) =>
    fixture.tensor(values, [positionCount, headLength / 2], { dtype: 'float32' });
  return {
    reference: (x: Float64Array) => rope(x, tables, { heads, headLength, positions }),
    options: {
      cos: tableTensor(tables.cos),
      sin: tableTensor(tables.sin),
      heads,
      positions: fixture.tensor(positions, [rows], { dtype: 'int32', layout }),
    },
  };
}

async function checkForward(fixture: Fixture, layout: Layout): Promise<void> {
  const { reference, options } = setUp(fixture, layout);
  const x = fixture.values(shape);
  const out = fixture.output(shape);
  fixture.device.kernels.rope({ ...options, x: fixture.tensor(x, shape, { layout }), out });
  await fixture.assertClose(out, reference(x), 'out');
}

export const ropeCases: readonly CaseDefinition[] = group('rope', {
  'rotates the halves of every head by the position': (fixture) => checkForward(fixture, 'whole'),
  'reads row views': (fixture) => checkForward(fixture, 'rows'),
  'rotates in place': async (fixture) => {
    const { reference, options } = setUp(fixture);
    const x = fixture.values(shape);
    const tensor = fixture.tensor(x, shape);
    fixture.device.kernels.rope({ ...options, x: tensor, out: tensor });
    await fixture.assertClose(tensor, reference(x), 'out');
  },
  'inverse gives the gradient of finite differences': async (fixture) => {
    const { reference, options } = setUp(fixture);
    const [x, dOut] = [fixture.values(shape), fixture.values(shape)];
    const dX = fixture.output(shape);
    fixture.device.kernels.rope({
      ...options,
      x: fixture.tensor(dOut, shape),
      out: dX,
      inverse: true,
    });
    await fixture.assertClose(
      dX,
      numericGradient(x, () => dot(reference(x), dOut)),
      'dX',
    );
  },
});
