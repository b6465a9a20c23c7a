import type { OuterProduct } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { outerProduct, type OuterProductShape } from '../reference/outer-products.js';

interface Shape extends OuterProductShape {
  readonly layout?: Layout;
}

interface Prepared {
  readonly product: OuterProduct;
  readonly expected: Float64Array;
}

function prepare(
  fixture: Fixture,
  { rows, leftWidth, leftColumn, leftColumns, columns, transposeOut, alpha = 1, layout }: Shape,
): Prepared {
  const [left, right] = [fixture.values([rows, leftWidth]), fixture.values([rows, columns])];
  const outShape = transposeOut ? [columns, leftColumns] : [leftColumns, columns];
  const before = fixture.values(outShape, { dtype: 'float32' });
  const expected = outerProduct(left, right, before, {
    rows,
    leftWidth,
    leftColumn,
    leftColumns,
    columns,
    transposeOut,
    alpha,
  });
  const product = {
    left: fixture.tensor(left, [rows, leftWidth], { layout }),
    leftColumn,
    leftColumns,
    right: fixture.tensor(right, [rows, columns], { layout }),
    out: fixture.tensor(before, outShape, { dtype: 'float32' }),
    transposeOut,
    alpha,
  };
  return { product, expected };
}

async function check(fixture: Fixture, shapes: readonly Shape[]): Promise<void> {
  const prepared = shapes.map((shape) => prepare(fixture, shape));
  fixture.device.kernels.outerProducts({ products: prepared.map(({ product }) => product) });
  for (const [index, { product, expected }] of prepared.entries())
    await fixture.assertClose(product.out, expected, `product ${index}`);
}

const whole: Shape = { rows: 150, leftWidth: 8, leftColumn: 0, leftColumns: 8, columns: 136 };
const part: Shape = { ...whole, leftWidth: 40, leftColumn: 24 };

export const outerProductsCases: readonly CaseDefinition[] = group('outerProducts', {
  'adds alpha times the product of all columns': (fixture) =>
    check(fixture, [{ ...whole, alpha: -0.75 }]),
  'takes some columns of the left matrix': (fixture) => check(fixture, [part]),
  'writes transposed': (fixture) =>
    check(fixture, [
      { ...part, transposeOut: true, alpha: 2 },
      { ...whole, transposeOut: true },
    ]),
  'takes ranks and widths of any kind': (fixture) =>
    check(fixture, [
      { ...part, leftColumns: 16 },
      { ...part, leftColumns: 16, transposeOut: true },
      { ...part, leftColumn: 3, leftColumns: 5 },
      { ...part, columns: 77, transposeOut: true },
      { ...whole, leftWidth: 64, leftColumns: 64 },
      { ...part, rows: 1 },
      { ...part, columns: 1 },
    ]),
  'sums many rows': (fixture) =>
    check(fixture, [
      { ...part, rows: 1500, columns: 264 },
      { ...part, rows: 1031, columns: 128, transposeOut: true },
    ]),
  'does many products at once': (fixture) =>
    check(
      fixture,
      Array.from({ length: 11 }, (_, index) => ({
        ...part,
        rows: 33,
        columns: 8 * (index + 1),
        transposeOut: index % 2 === 1,
      })),
    ),
  'reads row views': (fixture) =>
    check(fixture, [
      { ...part, layout: 'rows' },
      { ...whole, layout: 'rows', transposeOut: true },
    ]),
  'leaves what was there for no rows': (fixture) => check(fixture, [{ ...part, rows: 0 }]),
});
