import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { scatterRows } from '../reference/scatter-rows.js';

const width = 13;
const tableRows = 29;

async function checkScatter(fixture: Fixture, layout: Layout): Promise<void> {
  const rows = fixture.indices(11, tableRows, true);
  const [x, before] = [fixture.values([rows.length, width]), fixture.values([tableRows, width])];
  const out = fixture.tensor(before, [tableRows, width]);
  fixture.device.kernels.scatterRows({
    x: fixture.tensor(x, [rows.length, width], { layout }),
    rows: fixture.tensor(rows, [rows.length], { dtype: 'int32', layout }),
    out,
  });
  await fixture.assertEqual(out, scatterRows(x, rows, before, width), 'out');
}

export const scatterRowsCases: readonly CaseDefinition[] = group('scatterRows', {
  'writes the rows that are named and leaves the others': (fixture) =>
    checkScatter(fixture, 'whole'),
  'reads row views': (fixture) => checkScatter(fixture, 'rows'),
  'takes a row twice where the values are equal': async (fixture) => {
    const out = fixture.tensor([9, 9, 9], [3, 1]);
    fixture.device.kernels.scatterRows({
      x: fixture.tensor([5, 0, 0], [3, 1]),
      rows: fixture.tensor([0, 2, 2], [3], { dtype: 'int32' }),
      out,
    });
    await fixture.assertEqual(out, [5, 9, 0], 'out');
  },
});
