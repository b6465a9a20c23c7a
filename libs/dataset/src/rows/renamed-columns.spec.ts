import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { inTemporaryFolder } from '../../test/model-folder.js';
import { readColumns } from './read-columns.js';
import { parseRenamedColumns } from './renamed-columns.js';
import { parseRow } from './row.js';
import { scanRows } from './scan-rows.js';

const parse = (row: object, columns: string): ReturnType<typeof parseRow> =>
  parseRow(JSON.stringify(row), { takesImages: false, columns: parseRenamedColumns(columns) });

describe('columns that are read under other names', () => {
  it.each([
    ['prompt=question,completion=answer', { question: 'Hi', answer: 'Ho' }, 'completion'],
    ['instruction=q,input=c,output=a', { q: 'Hi', c: null, a: 'Ho' }, 'instruction'],
    ['text=body', { body: 'Hi' }, 'text'],
    ['messages=chat', { chat: [{ role: 'assistant', content: 'Hi' }] }, 'conversation'],
    ['conversations=chat', { chat: [{ from: 'gpt', value: 'Hi' }] }, 'conversation'],
  ])('make %s a form', (columns, row, kind) => {
    expect(parse(row, columns)).toMatchObject({ content: { kind }, unusedColumns: [] });
  });

  it('may have commas and equals signs in the names of the file', () => {
    const row = { 'a, b=c': 'Hi', '=': 'Ho' };
    expect(parse(row, 'prompt=a, b=c,completion==')).toMatchObject({
      content: { prompt: 'Hi', completion: 'Ho' },
    });
  });

  it('change places, and hide a column of the name that they take', () => {
    const row = { prompt: 'a', completion: 'b', text: 'c', body: 'd' };
    expect(parse(row, 'prompt=completion,completion=prompt')).toMatchObject({
      content: { prompt: 'b', completion: 'a' },
      unusedColumns: ['text', 'body'],
    });
    expect(parse(row, 'completion=body')).toMatchObject({
      content: { prompt: 'a', completion: 'd' },
      unusedColumns: ['text', 'completion'],
    });
  });

  it('are missing by name, with those that the row has for its owner', () => {
    expect(() => parse({ id: 1, q: 'Hi' }, 'prompt=question,completion=q')).toThrow(
      expect.objectContaining({
        field: 'prompt',
        reason: 'is to be the column "question", which the row has not',
        detail: 'it has "id", "q"',
      }) as Error,
    );
  });

  it('hold for a look at the rows, and for what answers are scored against', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'rows.jsonl');
      await writeFile(path, '{"q": "Hi", "a": "Ho", "gold": ["1"]}\n{"q": "Hi"}\n');
      const columns = 'prompt=q,completion=a,answers=gold';
      const scan = await scanRows({ path, maxBytes: 2 ** 20, maxMs: 60_000, columns });
      expect(scan).toMatchObject({ rows: 1, problems: [{ line: 2, field: 'completion' }] });
      for await (const row of readColumns(path, new Set([1]), { columns }))
        expect(row).toEqual({
          line: 1,
          fields: { prompt: 'Hi', completion: 'Ho', answers: ['1'] },
          lastAnswer: 'Ho',
        });
    }));
});

test.each([
  ['', '"" is not read'],
  ['prompt', '"prompt" is not read'],
  ['promt=question', '"promt" is not read, messages, conversations, prompt'],
  ['prompt=', 'prompt is given no column'],
  ['prompt=a,prompt=b', 'prompt is given twice'],
])('refuses %j', (columns, reason) => {
  expect(() => parseRenamedColumns(columns)).toThrow(
    expect.objectContaining({
      code: 'DATASET_INVALID_OPTION',
      message: expect.stringContaining(reason) as string,
    }) as Error,
  );
});
