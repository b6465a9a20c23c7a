import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants, getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { nextTurn } from '@emloc/time';
import { build } from 'esbuild';

import type { EchoContract } from '../testing/echo-contract.js';
import { createWorkerHost, type WorkerHost } from './host.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-worker-'));
const file = join(folder, 'echo-worker.mjs');
let host: WorkerHost<EchoContract>;

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('../testing/echo-worker.ts', import.meta.url))],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
});
beforeEach(() => {
  host = createWorkerHost<EchoContract>(pathToFileURL(file));
});
afterEach(() => host.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('runs a task, passes its events on in order and answers its requests', async () => {
  const steps: number[] = [];
  const result = await host.run(
    { kind: 'echo', text: 'a' },
    { onEvent: ({ step }) => steps.push(step), onRequest: async ({ question }) => `${question}!` },
  );
  expect([result, steps]).toEqual(['a a!', [1, 2]]);
});

test('an error keeps name, code and cause; so does a refused request', async () => {
  await expect(host.run({ kind: 'throw', text: '' })).rejects.toMatchObject({
    name: 'ServiceError',
    code: 'WORKER_FAILED',
    message: 'too late',
    cause: { name: 'RangeError', message: 'inner' },
  });
  await expect(
    host.run({ kind: 'echo', text: '' }, { onRequest: () => Promise.reject(new RangeError('no')) }),
  ).rejects.toMatchObject({ name: 'RangeError', message: 'no' });
});

/** A task that goes on until it is told to end; `begun` resolves when it does. */
function begin(
  kind: 'wait' | 'spin',
  signal: AbortSignal,
): { running: Promise<string>; begun: Promise<void> } {
  let running: Promise<string> = Promise.resolve('');
  const begun = new Promise<void>((resolve) => {
    running = host.run({ kind, text: '' }, { signal, onEvent: () => resolve() });
  });
  return { running, begun };
}

(process.platform === 'linux' ? test : test.skip)(
  'a thread whose priority is lowered goes on, and no other has less for it',
  async () => {
    const threads = (): number[] => readdirSync('/proc/self/task').map(Number);
    const low = (): number =>
      threads().filter((thread) => getPriority(thread) === constants.priority.PRIORITY_LOW).length;
    const [stop, before] = [new AbortController(), low()];
    const { running, begun } = begin('spin', stop.signal);
    await begun;
    host.lowerPriority();
    expect([low() - before, getPriority()]).toEqual([1, constants.priority.PRIORITY_NORMAL]);
    stop.abort();
    expect(await running).toBe('saw the flag');
    await host.close();
    host.lowerPriority();
  },
);

test('an abort reaches a task that waits, and one that never lets its event loop turn', async () => {
  for (const [kind, outcome] of [
    ['wait', 'aborted'],
    ['spin', 'saw the flag'],
  ] as const) {
    const stop = new AbortController();
    const { running, begun } = begin(kind, stop.signal);
    await begun;
    stop.abort();
    expect(await running.catch((error: unknown) => (error as Error).message)).toBe(outcome);
  }
});

test('the main thread keeps answering while the worker computes', async () => {
  const stop = new AbortController();
  const { running, begun } = begin('spin', stop.signal);
  await begun;
  // The task ends only after the abort, to which a thread that is blocked would never come.
  for (let turn = 0; turn < 31; turn += 1) await nextTurn();
  stop.abort();
  expect(await running).toBe('saw the flag');
});

test('a thread that dies fails its tasks, and the next task has a new one', async () => {
  await expect(host.run({ kind: 'exit', text: '' })).rejects.toMatchObject({
    code: 'WORKER_FAILED',
  });
  expect(await host.run({ kind: 'echo', text: 'b' }, { onRequest: async () => 'again' })).toBe(
    'b again',
  );
});

test('closing ends tasks in progress', async () => {
  const running = expect(host.run({ kind: 'wait', text: '' })).rejects.toMatchObject({
    code: 'WORKER_CLOSED',
  });
  await host.close();
  await running;
  await expect(host.run({ kind: 'wait', text: '' })).rejects.toMatchObject({
    code: 'WORKER_CLOSED',
  });
});
