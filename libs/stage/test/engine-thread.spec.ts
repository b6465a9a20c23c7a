import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JobStorage } from '@emloc/job-storage';
import { until } from '@emloc/time/testing';
import { build } from 'esbuild';

import { EngineThread } from '../src/service/engine-thread.js';
import { startStageHarness, type StageHarness } from './stage-harness.js';
import type { StubbornContract } from './stubborn-engine.js';

let harness: StageHarness;
let program: string;
const threads: EngineThread[] = [];
beforeAll(async () => {
  harness = await startStageHarness();
  program = join(harness.folder, 'engine.mjs');
  await build({
    entryPoints: [join(process.cwd(), 'libs/stage/test/stubborn-engine.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: {
      js: "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);",
    },
  });
});
afterAll(async () => {
  for (const thread of threads) await thread.close();
  await harness.stop();
});

function open(
  holder: string,
  storage: Pick<JobStorage, 'devices' | 'inputs' | 'stages'> = harness.storage,
): EngineThread {
  const thread = new EngineThread({
    program: pathToFileURL(program),
    storage,
    holder,
    deviceName: 'device',
    stopMs: 100,
  });
  threads.push(thread);
  return thread;
}

interface Run {
  readonly job?: string;
  readonly signal?: AbortSignal;
  readonly onGranted?: () => void;
}

type Kind = StubbornContract['task']['kind'];

async function run(
  thread: EngineThread,
  kind: Kind,
  { job = 'a', signal = new AbortController().signal, onGranted = () => undefined }: Run = {},
): Promise<string> {
  const task = {
    job,
    kind,
    device: 'cpu',
    threads: 1,
    scratch: '',
    options: {},
  } as unknown as StubbornContract['task'];
  const { answer } = await thread.run<StubbornContract>({
    job,
    stage: 'train',
    task,
    signal,
    onEvent: onGranted,
    onRequest: async () => 'an answer',
  });
  return answer;
}

test('runs a task with device memory, answers its requests, and gives the memory back', async () => {
  const [one, two] = [open('one'), open('two')];
  expect(await run(one, 'asks')).toBe('an answer');
  expect(await run(two, 'quick', { job: 'b' })).toBe('done');
});

test('a task that does not stop takes its thread with it, and its memory is free; the next has a new thread', async () => {
  const thread = open('stubborn');
  const stop = new AbortController();
  await expect(
    run(thread, 'stubborn', {
      signal: stop.signal,
      onGranted: () => stop.abort(new Error('stop now')),
    }),
  ).rejects.toThrow('stop now');
  expect(await run(open('other'), 'quick', { job: 'b' })).toBe('done');
  expect(await run(thread, 'quick')).toBe('done');
});

test('a task that waits for memory ends with its signal, and holds nothing afterwards', async () => {
  const held = await harness.storage.devices.acquire({
    device: 'device',
    job: 'x',
    holder: 'x',
    stage: 'train',
    bytes: 100,
    totalBytes: 100,
  });
  const stop = new AbortController();
  const { devices, inputs, stages } = harness.storage;
  let asks = 0;
  const acquire: typeof devices.acquire = (request) => {
    asks += 1;
    return devices.acquire(request);
  };
  const thread = open('waiting', { devices: { acquire }, inputs, stages });
  const waiting = expect(run(thread, 'quick', { signal: stop.signal })).rejects.toThrow(
    'stop waiting',
  );
  await until(() => asks === 1, 'the memory is asked for');
  stop.abort(new Error('stop waiting'));
  await waiting;
  await held.release();
  expect(await run(open('next'), 'quick', { job: 'c' })).toBe('done');
});
