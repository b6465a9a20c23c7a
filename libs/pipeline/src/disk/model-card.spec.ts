import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openWorkspace, tuneHost, type Workspace } from '../../test/fixtures.js';
import type { TuneOptions } from '../options/resolve.js';
import { tune } from '../tune.js';
import { baseLicense } from './base-license.js';

const quick: Partial<TuneOptions> = { steps: 1, refineSteps: 0, ratios: ['1'], maxLength: 32 };

let workspace: Workspace;
let card: string;

beforeAll(async () => {
  workspace = await openWorkspace();
  card = join(workspace.outputs, 'out', 'README.md');
});

afterAll(() => workspace.close());

async function tuned(overrides: Partial<TuneOptions> = {}): Promise<string> {
  const options = workspace.options({ ...quick, baseName: 'owner/tiny', ...overrides });
  await tune(options, tuneHost({ overwrite: true }));
  return await readFile(card, 'utf8');
}

describe('the card of an adapter', () => {
  it('says what hubs ask for and how it was made, and nothing of the data', async () => {
    const text = await tuned();
    const [, head = '', body = ''] = text.split('---\n');
    expect(head.trimEnd().split('\n')).toEqual([
      'base_model: "owner/tiny"',
      'library_name: peft',
      'pipeline_tag: text-generation',
      'tags:',
      '  - emloc',
      '  - lora',
    ]);
    const { data } = JSON.parse(
      await readFile(join(workspace.outputs, 'out', 'emloc.json'), 'utf8'),
    ) as { data: { sha256: string } };
    for (const part of [` rows, SHA-256 \`${data.sha256}\``, 'rank 4, alpha 8', 'PeftModel'])
      expect(body).toContain(part);
    const rows = (await readFile(workspace.data, 'utf8')).trim().split('\n');
    const { prompt } = JSON.parse(rows[0] ?? '') as { prompt: string };
    expect(prompt.length).toBeGreaterThan(10);
    expect(text).not.toContain(prompt);
    expect(text).not.toContain(workspace.data);
  });

  it('is the same for the same job, and another for another', async () => {
    const [first, again, other] = [await tuned(), await tuned(), await tuned({ seed: 1 })];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  it('stays where its owner has changed it, or has one of their own', async () => {
    await tuned();
    await writeFile(card, 'changed by hand');
    expect(await tuned({ seed: 2 })).toBe('changed by hand');
    expect(await tuned({ seed: 3 })).toBe('changed by hand');
    await rm(card);
    expect(await tuned({ seed: 4 })).toContain('LoRA for owner/tiny');
  });
});

it.each([
  ['---\nlicense: apache-2.0\n---\n', 'apache-2.0'],
  ["---\ntags: [a]\nlicense: 'MIT'\r\n---\n# x", 'MIT'],
  ['---\ntags: [a]\n---\nlicense: mit\n', null],
  ['license: mit', null],
  ['---\nlicense: [mit, "x"]\n---\n', null],
])('reads the licence of a base from the head of its card, %j', async (text, license) => {
  const folder = workspace.outputs;
  await writeFile(join(folder, 'README.md'), text);
  expect(await baseLicense(folder)).toBe(license);
  await workspace.remove('README.md');
});
