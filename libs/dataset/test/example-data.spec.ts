import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { loadDataset, openDatasetSession } from '../src/index.js';
import { imageOptions } from './image-rows.js';
import { exampleModel, examplesFolder, inTemporaryFolder, textOptions } from './model-folder.js';

interface Row {
  readonly prompt: string;
  readonly completion: string;
}

const rowCounts = { 'train.jsonl': 2000, 'test.jsonl': 300 };

async function committed(file: string): Promise<string> {
  return readFile(join(examplesFolder, 'data', file), 'utf8');
}

async function rowsOf(file: string): Promise<Row[]> {
  return (await committed(file))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
}

describe('the example data set', () => {
  it('is what its script writes, byte for byte', async () => {
    await inTemporaryFolder(async (folder) => {
      await promisify(execFile)(process.execPath, [join(examplesFolder, 'make-data.mjs'), folder]);
      for (const file of Object.keys(rowCounts))
        expect(await readFile(join(folder, file), 'utf8')).toBe(await committed(file));
    });
  });

  it('has no sentence and no answer twice, so that test rows are new', async () => {
    const rows = (await Promise.all(Object.keys(rowCounts).map(rowsOf))).flat();
    expect(rows).toHaveLength(2300);
    expect(new Set(rows.map(({ prompt }) => prompt)).size).toBe(2300);
    expect(new Set(rows.map(({ completion }) => completion)).size).toBe(2300);
  });

  it('has answers that can be read off the sentence', async () => {
    for (const { prompt, completion } of await rowsOf('test.jsonl')) {
      const { name, item, place, month } = JSON.parse(completion) as Record<
        'name' | 'item' | 'place' | 'month',
        string
      >;
      for (const word of [name, item, place, month]) expect(prompt).toContain(word);
    }
  });

  it.each(Object.entries(rowCounts))('%s has %d rows of 40 to 80 tokens', async (file, count) => {
    const session = openDatasetSession({
      folder: exampleModel('demo-5m'),
      vocabularySize: 4096,
      ...textOptions,
    });
    const { rows, report } = await loadDataset(session, {
      path: join(examplesFolder, 'data', file),
      maxLength: 1024,
    });
    expect(report).toMatchObject({ rows: count, truncatedRows: 0, droppedRows: 0 });
    expect(Math.min(...rows.map(({ ids }) => ids.length))).toBeGreaterThanOrEqual(40);
    expect(report.longestTokens).toBeLessThanOrEqual(80);
  });
});

test.each([
  ['train.jsonl', 600],
  ['test.jsonl', 200],
])('%s of the example with images has %d rows with one picture each', async (file, count) => {
  const folder = join(examplesFolder, 'images');
  const images = { ...imageOptions, template: null, tileSize: 112, tokensPerTile: 16 };
  const session = openDatasetSession({ folder: join(folder, 'model'), ...textOptions, images });
  const path = join(folder, 'data', file);
  const { rows, report } = await loadDataset(session, { path, maxLength: 2048 });
  expect(report).toMatchObject({ rows: count, images: count, tiles: count, truncatedRows: 0 });
  for (const { ids, images: [image] = [] } of rows) {
    expect(image).toMatchObject({ width: 112, height: 112, contextStart: 4, contextTokens: 16 });
    expect(ids.filter((id) => id === 5)).toHaveLength(16);
  }
});
