import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackFixture, type GoldenFixture, type Measured } from '@emloc/golden-models';

import { checkFolders } from './check-folders.js';
import type { Outcome } from './report.js';

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

describe('checkFolders', () => {
  let fixture: GoldenFixture;
  beforeAll(async () => {
    fixture = await unpackFixture('phi4-mini');
  });
  afterAll(() => fixture.close());

  it('compares what is measured with the golden of the folder', async () => {
    const asked: string[] = [];
    const [outcome] = await collect(
      checkFolders([fixture.folder], (folder, golden) => {
        asked.push(folder, ...golden.lora.gradients.keys());
        return Promise.resolve(nothing);
      }),
    );

    expect(asked).toContain(fixture.folder);
    expect(asked).toContain('model.layers.2.self_attn.qkv_proj');
    const infinite = Number.POSITIVE_INFINITY;
    expect(outcome).toMatchObject({
      comparison: { worst: { logits: infinite, losses: 1, gradients: infinite } },
    });
  });

  it('goes on after folders that cannot be read or measured', async () => {
    const missing = join(tmpdir(), 'no-golden-here');
    const outcomes = await collect(
      checkFolders([missing, fixture.folder], () => Promise.reject(new Error('no family X'))),
    );

    expect(outcomes).toEqual([
      { folder: missing, failure: expect.stringContaining(join(missing, 'golden.json')) as string },
      { folder: fixture.folder, failure: 'no family X' },
    ]);
  });
});
