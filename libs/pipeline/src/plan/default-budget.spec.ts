import { openWorkspace, tuneHost, type Workspace } from '../../test/fixtures.js';
import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { budgetBytesOf } from './budget.js';
import { fitMemory } from './fit-memory.js';

let texts: Workspace;
let pictures: PictureWorkspace;

beforeAll(async () => {
  [texts, pictures] = [await openWorkspace(), await openPictureWorkspace()];
});

afterAll(() => Promise.all([texts.close(), pictures.close()]));

/** Whether the budget that a job has by default is enough for it. */
async function fits(options: TuneOptions): Promise<boolean> {
  await using job = await prepareJob({ ...options, vramBytes: null });
  const { profile } = tuneHost().target;
  return (await fitMemory({ job, profile, budgetBytes: await budgetBytesOf(job, profile) })).fits;
}

describe('the default budget of a small model has room for every stage', () => {
  it.each<[string, Partial<TuneOptions>]>([
    ['as usual', {}],
    ['short rows in large batches', { maxLength: 32, batch: 16 }],
    ['plain LoRA of a high rank', { ratios: ['1'], rank: 32 }],
  ])('for texts: %s', async (_, overrides) => {
    expect(await fits(texts.options(overrides))).toBe(true);
  });

  it.each<[string, Partial<TuneOptions>]>([
    ['as usual', {}],
    ['larger, in buckets', { resolution: 64, buckets: true, batch: 3 }],
    ['with samples on the way', { samplePrompts: ['sks'], sampleEvery: 1 }],
    ['modulation is adapted', { targets: String.raw`.*norm1\.linear`, rank: 2 }],
  ])('for pictures: %s', async (_, overrides) => {
    expect(await fits(pictures.options(overrides))).toBe(true);
  });
});
