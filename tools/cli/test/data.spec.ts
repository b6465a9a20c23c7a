import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { useResidentEmloc } from './resident-emloc.js';
import { runEmloc, type Run } from './run-emloc.js';

const example = fileURLToPath(new URL('../../../examples/models/tiny-qwen2', import.meta.url));

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-data-'));
  model = join(folder, 'model');
  await cp(example, model, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const resident = useResidentEmloc();
const emloc = (args: readonly string[]): Promise<Run> => resident(args, { folder });

async function rows(name: string, ...lines: readonly (object | string)[]): Promise<string> {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  await writeFile(join(folder, name), `${text.join('\n')}\n`);
  return name;
}

const turn = (answer: string, more: object = {}) => ({
  messages: [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: answer, ...more },
  ],
});
const documents = ({ stdout }: Run): Record<string, unknown>[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('emloc data', () => {
  it('shows what is trained on in brackets, and nothing that a terminal obeys', async () => {
    const file = await rows(
      'shown.jsonl',
      turn('Good \u001b[31m\u202e day'),
      turn('Bye', { id: 7 }),
    );
    const { code, stdout, stderr } = await emloc(['data', file, '--model', model]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('⟦Good \\u001b[31m\\u202e day<|im_end|>');
    expect(stdout).toMatch(/2 rows to learn from: \d+ tokens/);
    expect(stdout).toContain(`chat template: default (${model}`);
  });

  it.each([
    ['--data', 'other.jsonl'],
    ['--data-weights', '1,2'],
  ])('takes its file, or %s', async (flag, value) => {
    const file = await rows('one.jsonl', turn('Good day'));
    const { code, stderr } = await emloc(['data', file, flag, value, '--model', model]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining(`${flag} beside [file]: one of them is expected`) as string,
    });
  });

  it('prints a line of JSON a row, the bad ones too, and last a summary', async () => {
    const file = await rows(
      'mixed.jsonl',
      turn('Fine', { weight: 1 }),
      '',
      turn('Half', { weight: 0.5 }),
      turn('None', { weight: 0 }),
      { ...turn('x '.repeat(200)), note: 'SECRET' },
    );
    const run = await emloc(['data', file, '--model', model, '--json', '--max-length', '32']);
    const lines = documents(run);
    expect(run.code).toBe(1);
    expect(lines.map(({ row }) => row)).toEqual([1, 3, 4, 5, undefined]);
    expect(lines[0]).toMatchObject({ ids: expect.any(Array), trained: expect.any(Array) });
    expect(lines[1]).toEqual({ row: 3, error: 'messages[1].weight must be 0 or 1' });
    expect(lines[2]).toEqual({ row: 4, dropped: 'nothing of it is trained on' });
    expect(lines[3]).toMatchObject({ row: 5, cut: true });
    expect(lines[4]).toMatchObject({
      summary: {
        sourceRows: 4,
        rows: 2,
        droppedRows: 1,
        truncatedRows: 1,
        badRows: 1,
        unusedColumns: { note: 1 },
        date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      },
    });
    expect(run.stderr).toContain('mixed.jsonl:3: messages[1].weight');
    expect(run.stdout + run.stderr).not.toContain('SECRET');
  });

  it('takes a template, its arguments and a date, and makes lost text an error when told to', async () => {
    await writeFile(
      join(folder, 'own.jinja'),
      "{{ strftime_now('%d.%m.%Y') }} {{ depth }}{% for m in messages %}{{ m.content.split('|')[-1] + '<|im_end|>' }}{% endfor %}",
    );
    const file = await rows('lost.jsonl', turn('thought|said'), turn('plain'));
    const flags = [
      '--model',
      model,
      '--chat-template',
      'own.jinja',
      '--template-args',
      '{"depth": 2.50}',
      '--date',
      '2024-02-29',
    ];
    const { code, stdout } = await emloc(['data', file, ...flags]);
    expect(code).toBe(0);
    expect(stdout).toContain('29.02.2024 2.5Hi<|im_end|>⟦said<|im_end|>⟧');
    expect(stdout).toContain('warning: in 1 of 2 rows the chat template leaves out');
    const strict = await emloc(['data', file, ...flags, '--strict']);
    expect(strict.code).toBe(1);
    expect(strict.stderr).toMatch(/^error: DATASET_TEXT_LOST: lost\.jsonl: in 1 of 2 rows/m);
    const machine = await emloc(['data', file, ...flags, '--strict', '--json']);
    expect(machine.code).toBe(1);
    expect(JSON.parse(machine.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      summary: { lostTextRows: 1 },
    });
  });

  it('tells each bad row in one line, whatever the template makes of it', async () => {
    await writeFile(join(folder, 'refuses.jinja'), '{{ raise_exception(messages[0].content) }}');
    const [, answer] = turn('Hello').messages;
    const row = { messages: [{ role: 'user', content: 'no\n\nerror: all' }, answer] };
    const file = await rows('refused.jsonl', row);
    const flags = ['--model', model, '--chat-template', 'refuses.jinja'];
    const { stderr } = await emloc(['data', file, ...flags]);
    expect(stderr).toMatch(/^refused\.jsonl:1: the chat template refuses .*: no error: all$/m);
  });

  it('stops at a signal while a template runs', async () => {
    await writeFile(
      join(folder, 'long.jinja'),
      "{% for m in messages %}{{ m.content }}{% endfor %}{% if messages[-1].content == 'slow' %}{% for a in range(99) %}{% for b in range(99999) %}{% set x = ('a' * 2000)|upper|length %}{% endfor %}{% endfor %}{% endif %}",
    );
    const file = await rows('slow.jsonl', turn('quick'), turn('slow'));
    const args = ['data', file, '--model', model, '--chat-template', 'long.jinja'];
    const interruption = { signal: 'SIGINT', moment: /quick/ } as const;
    const { code } = await runEmloc(args, { folder, interruption });
    expect(code).toBe(130);
  });

  it.each([
    [['data', '--model', 'model'], /missing: FILE/],
    [['data', 'a.jsonl', 'b.jsonl', '--model', 'model'], /more than one|too many arguments/],
    [['data', 'a.jsonl', '--model', 'model', '--date', '2024-02-30'], /date/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await emloc(args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});

describe('emloc eval', () => {
  it('uses the text options that an adapter was trained with, and refuses others', async () => {
    await writeFile(
      join(folder, 'short.jinja'),
      "{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}",
    );
    const file = await rows('train.jsonl', turn('one'), turn('two'));
    const adapter = join(folder, 'adapter');
    const shared = ['--model', model, '--data', file, '--json', '--batch', '1'];
    const tuned = await emloc([
      'tune',
      ...shared,
      '--validation',
      file,
      '--out',
      adapter,
      '--chat-template',
      'short.jinja',
      '--date',
      '2024-02-29',
      '--ratio',
      '1',
      '--steps',
      '1',
      '--refine-steps',
      '0',
      '--max-length',
      '64',
    ]);
    expect(tuned).toMatchObject({ code: 0 });
    await rm(join(folder, 'short.jinja'));
    const [plain] = documents(await emloc(['eval', ...shared]));
    const [scored] = documents(await emloc(['eval', ...shared, '--adapter', adapter]));
    expect(scored).toMatchObject({ date: '2024-02-29', rows: 2, sourceRows: 2 });
    expect(scored?.['tokens']).not.toBe(plain?.['tokens']);
    const other = await emloc(['eval', ...shared, '--adapter', adapter, '--date', '2024-03-01']);
    expect(other.code).not.toBe(0);
    expect(other.stderr).toMatch(/PIPELINE_INVALID_OPTION: option date/);
  });
});
