import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measured } from '@emloc/golden-models';

import { checkFixtures } from './check-fixtures.js';
import type { Outcome } from './report.js';

const repository = fileURLToPath(new URL('../../../libs/golden-models/fixtures/', import.meta.url));
const nothing: Measured = {
  sequences: [],
  imageFeatures: undefined,
  lora: { loss: 0, gradients: new Map() },
};

async function collect(outcomes: AsyncGenerator<Outcome>): Promise<readonly Outcome[]> {
  const list: Outcome[] = [];
  for await (const outcome of outcomes) list.push(outcome);
  return list;
}

describe('checkFixtures', () => {
  let from: string;
  beforeEach(async () => {
    from = await mkdtemp(join(tmpdir(), 'emloc-fixtures-'));
  });
  afterEach(() => rm(from, { recursive: true }));

  async function carry(...names: readonly string[]): Promise<void> {
    for (const name of names)
      await copyFile(join(repository, `${name}.golden.br`), join(from, `${name}.golden.br`));
  }

  it('compares every fixture of a folder by its name, and leaves nothing unpacked', async () => {
    await carry('phi4-mini', 'granite-tied');
    const unpacked: string[] = [];
    const outcomes = await collect(
      checkFixtures({ from, names: [] }, (folder) => {
        unpacked.push(folder);
        return Promise.resolve(nothing);
      }),
    );

    expect(outcomes.map(({ folder }) => folder)).toEqual(['granite-tied', 'phi4-mini']);
    expect(outcomes.map((outcome) => 'comparison' in outcome)).toEqual([true, true]);
    expect(unpacked).toHaveLength(2);
    for (const folder of unpacked) await expect(stat(folder)).rejects.toThrow('ENOENT');
  });

  it('compares those that are named, and says which are not there', async () => {
    await carry('phi4-mini', 'granite-tied');
    const outcomes = await collect(
      checkFixtures({ from, names: ['phi4-mini', 'phi5'] }, () => Promise.resolve(nothing)),
    );

    expect(outcomes).toMatchObject([
      { folder: 'phi4-mini' },
      { folder: 'phi5', failure: `${from} has no phi5.golden.br` },
    ]);
  });

  it('refuses a folder without fixtures', async () => {
    await expect(
      collect(checkFixtures({ from, names: [] }, () => Promise.resolve(nothing))),
    ).rejects.toThrow(`${from} has no fixture`);
  });
});
