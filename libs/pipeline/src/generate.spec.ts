import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cpuTarget, openWorkspace, tinyModel, tuneHost, type Workspace } from '../test/fixtures.js';
import { evaluateModel, type EvaluateReport } from './evaluate.js';
import { generateText, type GenerateReport } from './generate.js';
import { resolveEvaluateOptions, resolveGenerateOptions } from './options/resolve.js';
import { tune } from './tune.js';

let folder: string;
let workspace: Workspace;
let adapter: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-generate-'));
  workspace = await openWorkspace();
  ({ adapter } = await tune(workspace.options(), tuneHost()));
});

afterAll(async () => {
  await workspace.close();
  await rm(folder, { recursive: true, force: true });
});

type Given = Partial<Parameters<typeof resolveGenerateOptions>[0]>;

async function generated(given: Given = {}): Promise<GenerateReport & { parts: string[] }> {
  const parts: string[] = [];
  const common = { model: tinyModel, prompt: 'Name five birds.', maxNewTokens: 20 };
  const options = resolveGenerateOptions({ ...common, date: '2026-01-31', ...given });
  const report = await generateText(options, {
    target: cpuTarget(),
    onText: (text) => parts.push(text),
  });
  return { ...report, parts };
}

describe('an answer', () => {
  it('is told as it is made', async () => {
    const { text, parts, tokens, finish } = await generated();
    expect(parts.join('')).toBe(text);
    expect(parts.length).toBeGreaterThan(1);
    expect([tokens, finish]).toEqual(finish === 'length' ? [20, 'length'] : [tokens, 'stop']);
  });

  it('is the same with few weights on the device, and in no more memory than was given', async () => {
    const whole = await generated({ temperature: 0.7, topP: 0.95, seed: 5 });
    const vramBytes = Math.floor(whole.budgetBytes * 0.7);
    const paged = await generated({ temperature: 0.7, topP: 0.95, seed: 5, vramBytes });
    expect(paged.text).toBe(whole.text);
    expect(paged.peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
    expect(whole.peakDeviceBytes).toBeLessThanOrEqual(whole.budgetBytes);
  });

  it('may be one token', async () => {
    const { text } = await generated();
    const { text: first, finish, tokens } = await generated({ maxNewTokens: 1 });
    expect([text.startsWith(first), finish, tokens]).toEqual([true, 'length', 1]);
  });

  it('is within its context, which the model can hold', async () => {
    const { promptTokens, tokens } = await generated({ context: 40, maxNewTokens: 100 });
    expect(promptTokens + tokens).toBe(40);
    await expect(generated({ context: 4 })).rejects.toMatchObject({
      message: expect.stringMatching(/option prompt: \d+ tokens .* option context is 4,/),
    });
    await expect(generated({ context: 4000 })).rejects.toMatchObject({
      message: expect.stringMatching(/^option context: 4000 given, at most the 1024 positions/),
    });
  });

  it('is another one with an adapter', async () => {
    const { text } = await generated({ temperature: 1, maxNewTokens: 40 });
    expect((await generated({ temperature: 1, maxNewTokens: 40, adapter })).text).not.toBe(text);
  });

  it('is refused where the budget holds not even one, with the numbers', async () => {
    await expect(generated({ vramBytes: 2 ** 18 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringMatching(
        /answers do not fit into 256\.00 KiB: one of \d+ tokens .* needs at least .* for keys, values and states/,
      ),
    });
  });

  it('is refused to a prompt that is longer than the model can read', async () => {
    await expect(generated({ prompt: 'word '.repeat(6000) })).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringMatching(/option prompt: \d+ tokens .* the model has \d+ positions/),
    });
  });

  it('ends where the model has no more positions', async () => {
    const { promptTokens, tokens, finish } = await generated({
      prompt: 'word '.repeat(480),
      maxNewTokens: 4000,
    });
    expect([finish, promptTokens + tokens]).toEqual(['length', 1024]);
  });
});

describe('answers to rows', () => {
  const score = (
    vramBytes: number | null,
    change: Partial<Parameters<typeof resolveEvaluateOptions>[0]> = {},
    target = cpuTarget(),
  ): Promise<EvaluateReport> =>
    evaluateModel(
      resolveEvaluateOptions({
        ...{ model: tinyModel, adapter, data: workspace.data, vramBytes },
        ...{ answers: 7, limit: 9, batch: 3, maxNewTokens: 12, date: '2026-01-31' },
        ...change,
      }),
      { target },
    );

  it('are the same in any group that the budget allows', async () => {
    const many = await score(2 ** 28);
    const few = await score(Math.floor(many.peakDeviceBytes * 0.75));
    expect(many.answers).toHaveLength(7);
    expect(few.answers).toEqual(many.answers);
    expect(few.peakDeviceBytes).toBeLessThanOrEqual(few.budgetBytes);
    expect(few.loss).toBe(many.loss);
  });

  it('fit into what is taken where no budget is given', async () => {
    const { answers, peakDeviceBytes, budgetBytes } = await score(null);
    expect(answers).toEqual((await score(2 ** 28)).answers);
    expect(peakDeviceBytes).toBeLessThanOrEqual(budgetBytes);
  });

  it('are scored by a metric, all of them, whatever is shown', async () => {
    const { answers = [] } = await score(null, { answers: 9 });
    const lines = (await readFile(workspace.data, 'utf8')).split('\n').slice(0, 9);
    const rows = lines.map((line, index) => ({
      ...(JSON.parse(line) as object),
      answers: index % 3 === 0 ? ['no such answer'] : ['nor this', answers[index]?.answer],
    }));
    const data = join(folder, 'scored.jsonl');
    await writeFile(data, rows.map((row) => JSON.stringify(row)).join('\n'));
    const scored = await score(null, { data, metric: 'relaxed-accuracy', answers: 2 });
    expect(scored.answers).toEqual(answers.slice(0, 2));
    expect(scored.score).toMatchObject({ name: 'relaxed-accuracy', score: 6 / 9, rows: 9 });
    expect(scored.loss).toBe((await score(null, { data })).loss);
  });

  it('cannot be scored where a row has no right answer, which is seen before a device is used', async () => {
    const data = join(folder, 'unscored.jsonl');
    const turns = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Ho' },
    ];
    const more = [...turns, { role: 'user', content: 'And?' }];
    const rows = [{ messages: turns }, { messages: more }];
    await writeFile(data, rows.map((row) => JSON.stringify(row)).join('\n'));
    const target = cpuTarget();
    await expect(score(null, { data, metric: 'anls' }, target)).rejects.toMatchObject({
      code: 'SCORE_NO_GOLD',
      message: expect.stringContaining('unscored.jsonl:2: no right answer'),
    });
    expect(target.opened).toHaveLength(0);
  });
});
