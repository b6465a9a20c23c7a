import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { gatherRows } from '../reference/gather-rows.js';

const width = 13;
const tableRows = 29;

async function checkGather(fixture: Fixture, layout: Layout): Promise<void> {
  const table = fixture.values([tableRows, width]);
  const rows = [0, tableRows - 1, ...fixture.indices(15, tableRows)];
  const out = fixture.output([rows.length, width]);
  fixture.device.kernels.gatherRows({
    table: fixture.tensor(table, [tableRows, width], { layout }),
    rows: fixture.tensor(rows, [rows.length], { dtype: 'int32', layout }),
    out,
  });
  await fixture.assertEqual(out, gatherRows(table, rows, width), 'out');
}

export const gatherRowsCases: readonly CaseDefinition[] = group('gatherRows', {
  'copies the rows that are named, repeated ones too': (fixture) => checkGather(fixture, 'whole'),
  'reads row views': (fixture) => checkGather(fixture, 'rows'),
  'copies no rows': async (fixture) => {
    const out = fixture.output([0, 3]);
    fixture.device.kernels.gatherRows({
      table: fixture.tensor([1, 2, 3], [1, 3]),
      rows: fixture.tensor([], [0], { dtype: 'int32' }),
      out,
    });
    await fixture.assertEqual(out, [], 'out');
  },
});
