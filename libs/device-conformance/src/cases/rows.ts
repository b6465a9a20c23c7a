import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { embedding, scatterRows } from '../reference/rows.js';

const width = 13;
const tableRows = 29;

async function checkEmbedding(fixture: Fixture, layout: Layout): Promise<void> {
  const table = fixture.values([tableRows, width]);
  const rows = [0, tableRows - 1, ...fixture.indices(15, tableRows)];
  const out = fixture.output([rows.length, width]);
  fixture.device.kernels.embedding({
    table: fixture.tensor(table, [tableRows, width], { layout }),
    rows: fixture.tensor(rows, [rows.length], { dtype: 'int32', layout }),
    out,
  });
  await fixture.assertEqual(out, embedding(table, rows, width), 'out');
}

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

export const rowsCases: readonly CaseDefinition[] = [
  ...group('embedding', {
    'copies the rows that are named, repeated ones too': (fixture) =>
      checkEmbedding(fixture, 'whole'),
    'reads row views': (fixture) => checkEmbedding(fixture, 'rows'),
    'copies no rows': async (fixture) => {
      const out = fixture.output([0, 3]);
      fixture.device.kernels.embedding({
        table: fixture.tensor([1, 2, 3], [1, 3]),
        rows: fixture.tensor([], [0], { dtype: 'int32' }),
        out,
      });
      await fixture.assertEqual(out, [], 'out');
    },
  }),
  ...group('scatterRows', {
    'writes the rows that are named and leaves the others': (fixture) =>
      checkScatter(fixture, 'whole'),
    'reads row views': (fixture) => checkScatter(fixture, 'rows'),
  }),
];
