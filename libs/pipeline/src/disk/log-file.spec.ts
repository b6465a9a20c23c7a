import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { logEntriesIn } from '../job/log-entry.js';
import type { JobEvent } from '../job/observer.js';
import { LogFile } from './log-file.js';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-log-'));
  path = join(folder, 'log.jsonl');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const step = (number: number, stage: 'train' | 'refine' = 'train'): JobEvent => ({
  ...{ type: 'step', stage, level: 1, step: number, steps: 9, loss: 1 / number },
  ...{ learningRate: 1e-3, gradientNorm: 2, tokens: 30, seconds: 2 },
  ...{ deviceBytes: 5, peakDeviceBytes: 8, budgetBytes: 10, stallSeconds: 0.5, anchor: false },
});

const validation = (number: number, level = 1): JobEvent => ({
  ...{ type: 'validation', stage: 'train', level, step: number, loss: 1 },
});

const begun = (number: number, validated: readonly number[] = []): JobEvent => ({
  ...{ type: 'begun', stage: 'train', step: number, level: 1, validated },
});

/** What the lines tell of, each of which must be whole. */
async function told(): Promise<readonly string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => {
    const { event, stage, ...rest } = JSON.parse(line) as Record<string, unknown>;
    return `${stage as string} ${event as string} ${(rest['step'] ?? rest['state']) as string}`;
  });
}

it('has a line for stages, steps and validations as soon as they are told', async () => {
  using log = new LogFile(path);
  log.observe({ type: 'stage', stage: 'train', state: 'started' });
  log.observe(begun(0));
  log.observe(validation(0));
  log.observe({ type: 'notice', message: 'secret' });
  log.observe(step(1));
  expect(await told()).toEqual(['train stage started', 'train validation 0', 'train step 1']);
  expect(logEntriesIn(await readFile(path, 'utf8')).at(-1)).toEqual({
    ...{ time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), event: 'step' },
    ...{ stage: 'train', level: 1, step: 1, steps: 9, loss: 1, learningRate: 1e-3 },
    ...{ gradientNorm: 2, items: 30, seconds: 2, itemsPerSecond: 15 },
    ...{ deviceBytes: 5, peakDeviceBytes: 8, budgetBytes: 10, stallSeconds: 0.5, anchor: false },
  });
});

it('has each step once where a job goes on from an earlier state', async () => {
  {
    using log = new LogFile(path);
    for (const event of [begun(0), validation(0), step(1), step(2), validation(2), step(3)])
      log.observe(event);
    log.observe(validation(2, 2));
  }
  using log = new LogFile(path);
  log.observe(begun(2, [0, 2]));
  for (const event of [step(3), step(4), step(1, 'refine')]) log.observe(event);
  log.observe(begun(1));
  expect(await told()).toEqual([
    ...['train step 1', 'train resumed 2', 'refine step 1', 'train resumed 1'],
  ]);
});

it('takes out a line that was cut, and goes on', async () => {
  {
    using log = new LogFile(path);
    log.observe(step(1));
  }
  await appendFile(path, '{"time":"2020-01-01T00:00:00.000Z","eve');
  using log = new LogFile(path);
  log.observe(step(2));
  expect(await told()).toEqual(['train step 1', 'train step 2']);
});

it('takes nothing more once it is closed', async () => {
  const log = new LogFile(path);
  log.observe(step(1));
  log[Symbol.dispose]();
  log[Symbol.dispose]();
  log.observe(step(2));
  expect(await told()).toEqual(['train step 1']);
});

it.each(['pipe', 'folder'])('refuses a %s in its place without waiting', async (kind) => {
  if (kind === 'pipe') execFileSync('mkfifo', [path]);
  else await mkdir(path);
  expect(() => new LogFile(path)).toThrow(`${path} is not a regular file`);
});

it('waits for no pipe in the place of what it writes beside itself', async () => {
  await appendFile(path, 'cut');
  execFileSync('mkfifo', [`${path}.tmp`]);
  using _log = new LogFile(path);
  expect(await readFile(path, 'utf8')).toBe('');
});
