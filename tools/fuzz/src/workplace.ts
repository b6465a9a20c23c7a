import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAdapter, writePeftAdapter, type LoraAdapter } from '@emloc/checkpoint';
import { initialAdapter } from '@emloc/finetune';
import { unpackFixture } from '@emloc/golden-models';
import { linearModules, openModel, type ModelLayout } from '@emloc/models';

import type { Workplace } from './target.js';

const fixtures = 'libs/golden-models/fixtures';
const fixture = 'llama3-rope';

/** A small model with tokenizer and template, in a folder of this name. */
export async function addModel({ root, folder }: Workplace, name: string): Promise<string> {
  const unpacked = await unpackFixture(fixture, { tokenizer: true, from: join(root, fixtures) });
  const model = join(folder, name);
  try {
    await cp(unpacked.folder, model, { recursive: true });
  } finally {
    await unpacked.close();
  }
  return model;
}

/** The layout of a model, and an adapter for it in a folder of this name. */
export async function addAdapter(
  { folder }: Workplace,
  model: string,
  name: string,
): Promise<{ readonly adapter: string; readonly layout: ModelLayout }> {
  await using opened = await openModel(model);
  const { layout } = opened;
  const config = { rank: 2, alpha: 4, useRslora: false, targets: '.*(q|v)_proj' };
  const fresh: LoraAdapter = initialAdapter(layout, config, 1);
  const adapter = join(folder, name);
  await writePeftAdapter(adapter, fresh, { linearModules: linearModules(layout) });
  await readAdapter(adapter);
  return { adapter, layout };
}

/** Rows that are right, one text of JSON each. */
export const rows: readonly unknown[] = [
  {
    messages: [
      { role: 'user', content: 'Which?' },
      { role: 'assistant', content: 'That  one, 12.' },
    ],
  },
  {
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'a\tb' },
      { role: 'assistant', content: 'é 😀', weight: 1 },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    chat_template_kwargs: { enable_thinking: false },
  },
  { prompt: 'The capital of', completion: ' nowhere' },
  {
    conversations: [
      { from: 'human', value: 'Hi' },
      { from: 'gpt', value: 'Ho' },
    ],
  },
];

/** As many of them as a job needs. */
export function enoughRows(): string[] {
  return Array.from({ length: 64 }, (_, i) => JSON.stringify(rows[i % rows.length]));
}

export async function writeRows(folder: string, lines: readonly string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'rows.jsonl');
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

export async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8')) as unknown;
}
