import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { patterns } from '../hostile.js';
import { mutateJson } from '../mutate-json.js';
import type { OpenTarget } from '../target.js';
import { addModel, readJson, rows, writeRows } from '../workplace.js';
import { readWith } from './read-rows.js';

const fragments = [
  ...patterns,
  'Sequence',
  'Replace',
  'Precompiled',
  'Metaspace',
  'Split',
  'Digits',
  'Unigram',
  'WordPiece',
  'TemplateProcessing',
  'ByteFallback',
  'MergedWithNext',
];

/** Steps that no file of the fixture has. */
const steps: readonly unknown[] = [
  { type: 'Replace', pattern: { Regex: 'a+' }, content: 'aaaa' },
  { type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(30) },
  { type: 'Prepend', prepend: '▁' },
  { type: 'Split', pattern: { Regex: '\\p{L}+|\\s+(?!\\S)' }, behavior: 'Isolated', invert: false },
  { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  { type: 'Precompiled', precompiled_charsmap: 'AAAA' },
  { type: 'NFKC' },
];

/** tokenizer.json and the files beside it. */
export const openTokenizerTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'tokenizer');
  const path = await writeRows(
    model,
    rows.map((row) => JSON.stringify(row)),
  );
  const files = ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'];
  const documents = await Promise.all(files.map((file) => readJson(join(model, file))));
  const rich = { ...(documents[0] as object) };
  return {
    place: /tokenizer|generation_config|rows\.jsonl|template/,
    run: async (dice) => {
      const chosen = dice.pick([0, 0, 0, 1, 2]);
      const added = { normalizer: sequence(dice.pick(steps)), decoder: dice.pick(steps) };
      const document = chosen === 0 && dice.chance(0.5) ? { ...rich, ...added } : documents[chosen];
      for (const [index, file] of files.entries())
        await writeFile(
          join(model, file),
          index === chosen
            ? mutateJson(document, dice, fragments)
            : JSON.stringify(documents[index]),
        );
      await readWith(model, path);
    },
  };
};

function sequence(step: unknown): unknown {
  return { type: 'Sequence', normalizers: [step, step] };
}
