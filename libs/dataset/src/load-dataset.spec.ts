import { createHash } from 'node:crypto';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { exampleModel, inTemporaryFolder, textOptions } from '../test/model-folder.js';
import { processorMs } from '../test/processor-time.js';
import { openDatasetSession, type DatasetSession } from './dataset-session.js';
import type { RowProblem } from './errors.js';
import { loadDataset, type Dataset, type LoadDatasetOptions } from './load-dataset.js';
import type { DatasetSummary } from './rows/read-dataset.js';
import { loadTokenizer, type ChatTokenizer } from './templates/chat-tokenizer.js';

let tokenizer: ChatTokenizer;
const session = openDatasetSession({ folder: exampleModel('demo-5m'), ...textOptions });
beforeAll(async () => {
  tokenizer = await loadTokenizer(exampleModel('demo-5m'), textOptions);
});

const SHORT = '{"prompt": "Hi", "completion": "Hello"}';
const LONG = JSON.stringify({ prompt: 'Hi', completion: 'a b c d e f g h i j k l m n o p' });

async function load(
  content: string | Uint8Array,
  options: Partial<LoadDatasetOptions> = {},
  reader: DatasetSession = session,
): Promise<Dataset> {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'data.jsonl');
    await writeFile(path, content);
    return loadDataset(reader, { path, maxLength: 1024, ...options });
  });
}

describe('loadDataset', () => {
  it('reads rows in order with the line they stand on, and hashes the file', async () => {
    const content = `${SHORT}\n\n  \n{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "id": 7}\n`;
    const { rows, report, sha256 } = await load(content);
    expect(rows.map(({ line }) => line)).toEqual([1, 4]);
    expect(rows[0]?.ids).toEqual(rows[1]?.ids);
    expect(sha256).toBe(createHash('sha256').update(content).digest('hex'));
    const tokens = tokenizer.encode(
      '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n',
    ).ids.length;
    const trained = tokenizer.encode('Hello<|im_end|>\n').ids.length;
    expect(report).toEqual({
      sourceRows: 2,
      rows: 2,
      partedRows: 0,
      truncatedRows: 0,
      droppedRows: 0,
      lostTextRows: 0,
      tokens: 2 * tokens,
      trainedTokens: 2 * trained,
      lostTokens: 0,
      longestTokens: tokens,
      images: 0,
      tiles: 0,
      augmentedSets: 0,
      formats: { messages: 1, completion: 1, instruction: 0, text: 0 },
      unusedColumns: { id: 1 },
    });
  });

  it('reads files of any form that a list names, each as often as it says', () =>
    inTemporaryFolder(async (folder) => {
      await writeFile(join(folder, 'a.csv'), 'question,answer\nHi,Hello\nBye,Ciao\n');
      await writeFile(join(folder, 'b.jsonl'), '{"question": "Hi", "answer": "Hello"}\n');
      const list = {
        a: { annotation: 'a.csv', repeat_time: 1.5 },
        b: { annotation: 'b.jsonl', repeat_time: 2 },
        c: { annotation: 'c.parquet' },
      };
      const table = new URL('../test/parquet/snappy.parquet', import.meta.url);
      await copyFile(table, join(folder, 'c.parquet'));
      const path = join(folder, 'list.json');
      await writeFile(path, JSON.stringify({ a: list.a, b: list.b }));
      const columns = 'prompt=question,completion=answer';
      const { rows, report } = await loadDataset(session, { path, maxLength: 64, columns });
      expect(rows.map(({ line }) => line)).toEqual([2, 3, 2, 1, 1]);
      expect(report.formats).toMatchObject({ completion: 5 });
      await writeFile(path, JSON.stringify({ c: list.c }));
      await expect(loadDataset(session, { path, maxLength: 64 })).rejects.toMatchObject({
        problems: [1, 4, 7].map((line) => ({ line, field: 'completion', reason: 'is missing' })),
      });
    }));

  it.each([
    ['CRLF line ends', `${SHORT}\r\n${SHORT}\r\n`],
    ['a byte order mark', `\uFEFF${SHORT}\n${SHORT}`],
    ['no line end at the end', `${SHORT}\n${SHORT}`],
  ])('accepts %s', async (_, content) => {
    expect((await load(content)).rows).toHaveLength(2);
  });

  it('reads lines that are longer than a chunk of the file', async () => {
    const long = JSON.stringify({ prompt: 'é '.repeat(60_000), completion: 'Hello' });
    const { report } = await load(`${SHORT}\n${long}\n${SHORT}\n`, { maxLength: 1_000_000 });
    expect(report.rows).toBe(3);
    expect(report.longestTokens).toBeGreaterThan(60_000);
  });

  it('counts what it cuts and what it drops', async () => {
    const whole = (await load(`${SHORT}\n${LONG}\n`)).report;
    const shortTokens = (await load(SHORT)).report.tokens;
    const cut = await load(`${SHORT}\n${LONG}\n`, { maxLength: shortTokens });
    expect(cut.report).toMatchObject({
      rows: 2,
      truncatedRows: 1,
      droppedRows: 0,
      tokens: 2 * shortTokens,
      longestTokens: whole.longestTokens,
    });
    expect(cut.report.tokens + cut.report.lostTokens).toBe(whole.tokens);

    const hidden = JSON.stringify({ prompt: 'a b c d e f g h i j k l', completion: 'm' });
    const dropped = await load(`${hidden}\n${SHORT}\n`, { maxLength: shortTokens });
    expect(dropped.rows.map(({ line }) => line)).toEqual([2]);
    expect(dropped.report).toMatchObject({
      rows: 1,
      truncatedRows: 0,
      droppedRows: 1,
      tokens: shortTokens,
    });
    expect(dropped.report.lostTokens).toBeGreaterThan(shortTokens);
  });

  const turn = (message: object): string =>
    JSON.stringify({ messages: [{ role: 'user', content: 'SECRET' }, message] });
  it.each([
    ['no JSON', '{"prompt": "SECRET" "completion"}', null, /^is not valid JSON/],
    ['cut JSON', '{"prompt": "SECRET', null, /^is not valid JSON/],
    ['a JSON list', '["SECRET"]', null, /^must be a JSON object, is a list$/],
    ['other fields only', '{"body": "SECRET"}', null, /^has neither/],
    [
      'a prompt alone beside null',
      '{"messages": null, "prompt": "SECRET"}',
      'completion',
      /^is missing$/,
    ],
    [
      'texts beside messages',
      '{"prompt": "SECRET", "completion": []}',
      'completion',
      /^must be text as prompt is/,
    ],
    [
      'a completion that is a number',
      '{"prompt": "SECRET", "completion": 3}',
      'completion',
      /^must be text as prompt is, is a number$/,
    ],
    [
      'messages beside a completion that is an object',
      '{"prompt": [{"role": "user", "content": "SECRET"}], "completion": {}}',
      'completion',
      /^must be a list of messages as prompt is, is an object$/,
    ],
    ['no completion', '{"prompt": "SECRET"}', 'completion', /^is missing$/],
    [
      'a prompt that is a number',
      '{"prompt": 5, "completion": "SECRET"}',
      'prompt',
      /^must be text or a list of messages, is a number$/,
    ],
    ['messages that are text', '{"messages": "SECRET"}', 'messages', /^must be a list, is text$/],
    ['no messages', '{"messages": []}', 'messages', /^is empty$/],
    [
      'no assistant turn',
      turn({ role: 'user', content: 'SECRET' }),
      'messages',
      /^has no assistant turn/,
    ],
    [
      'a turn that is no object',
      '{"messages": ["SECRET"]}',
      'messages[0]',
      /^must be an object, is text$/,
    ],
    ['no role', turn({ content: 'SECRET' }), 'messages[1].role', /^is missing$/],
    [
      'an unknown role',
      turn({ role: 'SECRET', content: 'x' }),
      'messages[1].role',
      /^must be one of system,/,
    ],
    ['no content', turn({ role: 'assistant' }), 'messages[1].content', /^is missing$/],
    [
      'content in parts that are no text',
      turn({ role: 'assistant', content: [{ type: 'image', text: 'SECRET' }] }),
      'messages[1].content[0].type',
      /^must be "text"/,
    ],
    [
      'tools that are no list',
      '{"messages": [{"role": "assistant", "content": "x"}], "tools": "SECRET"}',
      'tools',
      /^must be a list/,
    ],
    [
      'a tool that is text',
      '{"messages": [{"role": "assistant", "content": "x"}], "tools": ["SECRET"]}',
      'tools[0]',
      /^must be an object, is text$/,
    ],
    [
      'a tool without a name',
      '{"messages": [{"role": "assistant", "content": "x"}], "tools": [{"type": "function", "function": {"description": "SECRET"}}]}',
      'tools[0].function.name',
      /^must be text, is null$/,
    ],
    [
      'half a weight',
      turn({ role: 'assistant', content: 'SECRET', weight: 0.5 }),
      'messages[1].weight',
      /^must be 0 or 1$/,
    ],
    [
      'a weight that is text',
      turn({ role: 'assistant', content: 'SECRET', weight: '1' }),
      'messages[1].weight',
      /^must be 0 or 1$/,
    ],
    [
      'a flag that is a number',
      turn({ role: 'assistant', content: 'SECRET', loss: 1 }),
      'messages[1].loss',
      /^must be true or false/,
    ],
    [
      'template arguments that are set from the row',
      '{"messages": [{"role": "assistant", "content": "SECRET"}], "chat_template_kwargs": {"tools": []}}',
      'chat_template_kwargs.tools',
      /^is set from the row itself/,
    ],
    [
      'half of a surrogate pair',
      turn({ role: 'assistant', content: '\ud83d SECRET' }),
      'messages[1].content',
      /^has half of a surrogate pair/,
    ],
  ])(
    'refuses %s with line and field, without a word of the row',
    async (_, line, field, reason) => {
      const error: unknown = await load(`${SHORT}\n${line}\n`).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        name: 'DatasetError',
        code: 'DATASET_INVALID_ROW',
        message: expect.stringContaining('data.jsonl:2: ') as string,
        problems: [{ line: 2, field, reason: expect.stringMatching(reason) as string }],
      });
      expect(
        `${String(error)}${JSON.stringify(error)}${String((error as Error).cause)}`,
      ).not.toContain('SECRET');
    },
  );

  it('refuses bytes that are not UTF-8', async () => {
    const content = Buffer.concat([
      Buffer.from(`${SHORT}\n{"prompt": "`),
      Buffer.of(0xff, 0xfe),
      Buffer.from('", "completion": "x"}\n'),
    ]);
    await expect(load(content)).rejects.toMatchObject({
      problems: [{ line: 2, field: null, reason: 'is not valid UTF-8' }],
    });
  });

  it('collects all images that cannot be used, up to five thousand, and then counts', async () => {
    const image = (line: number): RowProblem => ({ line, field: 'image', reason: 'x', image: 'p' });
    const reader = (problems: readonly RowProblem[]): DatasetSession => ({
      ...session,
      async *read() {
        for (const problem of problems) yield { kind: 'bad', problems: [problem] };
        return (await load(SHORT)) satisfies DatasetSummary;
      },
    });
    const images = Array.from({ length: 5002 }, (_, index) => image(index + 1));
    const many = await load('', {}, reader(images)).catch((caught: unknown) => caught);
    expect((many as { problems: unknown[] }).problems).toHaveLength(5000);
    expect(String(many)).toMatch(/\nand 2 more images that cannot be used$/);
    expect(String(many)).not.toContain('stopped');
    const { messageForOwner } = many as { messageForOwner: string };
    expect(messageForOwner).toMatch(/data\.jsonl:1: image: p: x\n/);

    const others = Array.from({ length: 20 }, (_, line) => ({ line, field: null, reason: 'y' }));
    const mixed = await load('', {}, reader([...images.slice(0, 30), ...others])).catch(
      (caught: unknown) => caught,
    );
    expect((mixed as { problems: unknown[] }).problems).toHaveLength(40);
    expect(String(mixed)).toContain('stopped after the first 40 problems');
  });
  it('collects the problems of all rows, up to ten', async () => {
    const three = await load(`{}\n${SHORT}\n{}\n[]\n`).catch((caught: unknown) => caught);
    expect((three as { problems: { line: number }[] }).problems.map(({ line }) => line)).toEqual([
      1, 3, 4,
    ]);
    const many = await load('{}\n'.repeat(50)).catch((caught: unknown) => caught);
    expect((many as { problems: unknown[] }).problems).toHaveLength(10);
    expect(String(many)).toContain('stopped after the first 10 problems');
  });

  it.each([
    ['a file without rows', '\n \n', 'has no rows'],
    [
      'a file whose rows are all dropped',
      JSON.stringify({ prompt: 'a b c d e f g h i j', completion: 'k' }),
      'none of its 1 rows',
    ],
  ])('refuses %s', async (_, content, reason) => {
    await expect(load(content, { maxLength: 8 })).rejects.toMatchObject({
      code: 'DATASET_EMPTY',
      message: expect.stringContaining(reason) as string,
    });
  });

  it('refuses a tokenizer with a token outside the model’s vocabulary', async () => {
    const folder = exampleModel('demo-5m');
    const small = openDatasetSession({ folder, ...textOptions, vocabularySize: 100 });
    await expect(load(SHORT, {}, small)).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringContaining('vocabulary ends at 99') as string,
    });
    const fitting = openDatasetSession({ folder, ...textOptions, vocabularySize: 4096 });
    await expect(load(SHORT, {}, fitting)).resolves.toBeDefined();
  });

  it('takes the first rows of the file only, and counts those', async () => {
    const { rows, report } = await load(`${SHORT}\n\n${SHORT}\n{}\n`, { limit: 2 });
    expect(rows.map(({ line }) => line)).toEqual([1, 3]);
    expect(report.sourceRows).toBe(2);
  });

  it('stops soon after the first problem of a long file', async () => {
    const started = processorMs();
    const reading = load(`{}\n${`${SHORT}\n`.repeat(200_000)}`);
    await expect(reading).rejects.toMatchObject({ problems: [{ line: 1 }] });
    await expect(reading).rejects.toThrow('stopped after the first problem');
    expect(processorMs() - started).toBeLessThan(20_000);
  });

  it.each([1, 0, 2.5])('refuses a maximum length of %d', async (maxLength) => {
    await expect(load(SHORT, { maxLength })).rejects.toMatchObject({
      code: 'DATASET_INVALID_OPTION',
    });
  });

  it('names a file that cannot be read', async () => {
    await expect(
      loadDataset(session, { path: '/nowhere/data.jsonl', maxLength: 8 }),
    ).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: '/nowhere/data.jsonl: cannot be read (ENOENT)',
      cause: expect.anything() as unknown,
    });
  });

  it('stops with the signal’s reason', async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const reading = load(`${SHORT}\n`.repeat(1000), { signal: controller.signal });
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });
});
