import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { inTemporaryFolder } from '../../test/model-folder.js';
import { scanRows, type RowScan, type ScanRowsOptions } from './scan-rows.js';

const row = '{"prompt": "Hi", "completion": "Hello"}\n';

const scan = (
  content: string | Uint8Array,
  limits: Partial<ScanRowsOptions> = {},
): Promise<RowScan> =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, 'data.jsonl');
    await writeFile(path, content);
    return scanRows({ path, maxBytes: 2 ** 20, maxMs: 60_000, ...limits });
  });

test('counts rows, not blank lines', async () => {
  expect(await scan(`\uFEFF${row}\n  \n${row}`)).toEqual({ rows: 2, isWhole: true, problems: [] });
  expect(await scan('\n')).toEqual({ rows: 0, isWhole: true, problems: [] });
});

test('names line and field of what is wrong, never the text', async () => {
  const { rows, problems } = await scan(`${row}{"prompt": "secret"}\n\n{"secret\n`);
  expect(rows).toBe(1);
  expect(problems).toMatchObject([
    { line: 2, field: 'completion', reason: 'is missing' },
    { line: 4, field: null },
  ]);
  expect(JSON.stringify(problems)).not.toContain('secret');
  expect(await scan(new Uint8Array([0x7b, 0x22, 0xff, 0x22]))).toMatchObject({
    problems: [{ line: 1, reason: 'is not valid UTF-8' }],
  });
});

test('ends at its limits', async () => {
  expect(await scan(row.repeat(3), { maxBytes: 2 * row.length })).toEqual({
    rows: 2,
    isWhole: false,
    problems: [],
  });
  expect(await scan(row.repeat(3), { maxBytes: 3 * row.length })).toEqual({
    rows: 3,
    isWhole: true,
    problems: [],
  });
  expect(await scan(row.repeat(3), { maxMs: -1 })).toEqual({
    rows: 0,
    isWhole: false,
    problems: [],
  });
  const { isWhole, problems } = await scan('{}\n'.repeat(20));
  expect({ isWhole, problems: problems.length }).toEqual({ isWhole: false, problems: 10 });
});

test('a file that cannot be read', async () => {
  await expect(scanRows({ path: '/nothing/here', maxBytes: 1, maxMs: 1 })).rejects.toMatchObject({
    code: 'DATASET_UNREADABLE',
  });
});
