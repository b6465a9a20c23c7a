import type { BlockCopy, DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { rounded } from '../host-values.js';
import { copyBlock } from '../reference/copy-blocks.js';

interface Block {
  readonly rows: number;
  readonly columns: number;
  readonly xWidth: number;
  readonly outShape: readonly [number, number];
  readonly at: Pick<BlockCopy, 'xColumn' | 'outRow' | 'outColumn' | 'scale'>;
  readonly dtype: DType;
  readonly outDType: DType;
  readonly layout?: Layout;
}

interface Prepared {
  readonly copy: BlockCopy;
  readonly expected: Float64Array;
}

function prepare(
  fixture: Fixture,
  { rows, columns, xWidth, outShape, at: places, dtype, outDType, layout }: Block,
): Prepared {
  const [x, before] = [
    fixture.values([rows, xWidth], { dtype }),
    fixture.values(outShape, { dtype: outDType }),
  ];
  const expected = copyBlock(x, before, { ...places, columns, xWidth, outWidth: outShape[1] }).map(
    (value) => rounded(value, outDType),
  );
  const copy = {
    ...places,
    columns,
    x: fixture.tensor(x, [rows, xWidth], { dtype, layout }),
    out: fixture.tensor(before, outShape, { dtype: outDType }),
  };
  return { copy, expected };
}

async function check(fixture: Fixture, blocks: readonly Block[]): Promise<void> {
  const prepared = blocks.map((block) => prepare(fixture, block));
  fixture.device.kernels.copyBlocks({ copies: prepared.map(({ copy }) => copy) });
  for (const [index, { copy, expected }] of prepared.entries())
    await fixture.assertEqual(copy.out, expected, `block ${index}`);
}

/**
 * Columns of one matrix into columns of another, as adapters go into spare columns of factors and
 * out of them.
 */
function columnsOf(fixture: Fixture, extra: Partial<Block> = {}): Block {
  return {
    rows: 37,
    columns: 8,
    xWidth: 24,
    outShape: [40, 21],
    at: { xColumn: 16, outRow: 2, outColumn: 13 },
    dtype: fixture.compute,
    outDType: fixture.compute,
    ...extra,
  };
}

export const copyBlocksCases: readonly CaseDefinition[] = group('copyBlocks', {
  'copies columns and leaves the rest': (fixture) => check(fixture, [columnsOf(fixture)]),
  'converts and scales': (fixture) =>
    check(fixture, [
      columnsOf(fixture, { dtype: 'float32', at: { scale: 2, outColumn: 13 } }),
      columnsOf(fixture, { outDType: 'float32', at: { scale: -0.25, xColumn: 5 } }),
    ]),
  'copies many blocks at once': (fixture) =>
    check(
      fixture,
      Array.from({ length: 35 }, (_, index) =>
        columnsOf(fixture, {
          rows: 1 + 7 * (index % 5),
          columns: 1 + (index % 8),
          at: { xColumn: index % 16, outColumn: index % 14 },
        }),
      ),
    ),
  'reads row views': (fixture) => check(fixture, [columnsOf(fixture, { layout: 'rows' })]),
  'copies nothing': (fixture) =>
    check(fixture, [columnsOf(fixture, { rows: 0 }), columnsOf(fixture, { columns: 0 })]),
  'writes zeros for the scale 0, whatever is read': async (fixture) => {
    const x = fixture.tensor([Number.NaN, Number.POSITIVE_INFINITY, 3, 4], [2, 2]);
    const out = fixture.output([2, 2]);
    fixture.device.kernels.copyBlocks({ copies: [{ x, columns: 2, out, scale: 0 }] });
    await fixture.assertEqual(out, [0, 0, 0, 0], 'out');
  },
});
