import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import { openModel } from '@emloc/models';

import { makeImageRows } from './image-rows.js';
import { makeShapeModel, modelShapes } from './shape-model.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-shape-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each(['internvl-micro', 'internvl-micro-hf'])('writes %s so that it opens', async (name) => {
  await makeShapeModel(folder, get(modelShapes, name));
  const model = await openModel(folder);
  expect(model.layout.images).toMatchObject({ tileSize: 448, tokensPerTile: 256 });
});

it('writes rows whose images are PNG of six tiles', async () => {
  await makeImageRows(join(folder, 'rows.jsonl'), 2);
  const lines = (await readFile(join(folder, 'rows.jsonl'), 'utf8')).trim().split('\n');
  expect(lines).toHaveLength(2);
  for (const line of lines) {
    const { images } = JSON.parse(line) as { images: string[] };
    const header = (await readFile(join(folder, images[0] ?? ''))).subarray(0, 24);
    expect([header.readUInt32BE(16), header.readUInt32BE(20)]).toEqual([1344, 896]);
  }
});
