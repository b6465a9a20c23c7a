import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants, getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { resolveTuneOptions } from '@emloc/pipeline';
import { until } from '@emloc/time/testing';
import { build } from 'esbuild';

import type { Engine } from '../src/outcome/engine.js';
import { startEngine } from '../src/outcome/worker-engine.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-engine-'));
const file = join(folder, 'engine-worker.mjs');
let engine: Engine;
beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('./engine-worker.ts', import.meta.url))],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
});
beforeEach(() => {
  engine = startEngine(
    { planDevice: 'cpu', planThreads: 1 },
    { file: pathToFileURL(file), heapMib: { inspect: 64, plan: 64 } },
  );
});
afterEach(() => engine.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const optionsOf = (model: string) => resolveTuneOptions({ model, data: 'rows.jsonl', out: 'out' });
const { signal: never } = new AbortController();

test('a pattern that takes for ever ends, named by its field, while other work goes on', async () => {
  const [stuck, planned, others] = await Promise.allSettled([
    engine.inspect(optionsOf('pattern without end'), never),
    engine.plan(optionsOf('pattern without end'), never),
    Promise.all(['a', 'b', 'c'].map((name) => engine.inspect(optionsOf(name), never))),
  ]);
  for (const ended of [stuck, planned])
    expect(ended).toMatchObject({
      status: 'rejected',
      reason: {
        code: 'INVALID_ARGUMENT',
        reason: 'STEP_TOO_LONG',
        fieldViolations: [
          {
            field: 'targets',
            description: "matching targets with the names of the model's layers took more than 2 s",
          },
        ],
      },
    });
  expect(others).toMatchObject({ status: 'fulfilled', value: [{}, {}, {}] });
});

(process.platform === 'linux' ? test : test.skip)(
  'a pattern that takes long leaves the processor to others before it ends',
  async () => {
    const low = (): number[] =>
      readdirSync('/proc/self/task')
        .map(Number)
        .filter((thread) => getPriority(thread) === constants.priority.PRIORITY_LOW);
    // Those of ended work may not be gone yet.
    const [before, gone] = [low(), new AbortController()];
    const stuck = engine.inspect(optionsOf('pattern without end'), gone.signal);
    await until(
      () => low().some((thread) => !before.includes(thread)),
      'a thread has the lowest priority',
    );
    gone.abort(new Error('seen'));
    await expect(stuck).rejects.toThrow('seen');
    expect(getPriority()).toBe(constants.priority.PRIORITY_NORMAL);
  },
);

test('work whose caller has gone ends with its thread', async () => {
  const gone = new AbortController();
  const waiting = engine.inspect(optionsOf('waits for ever'), gone.signal);
  gone.abort(new Error('the caller has gone'));
  await expect(waiting).rejects.toThrow('the caller has gone');
  await expect(engine.inspect(optionsOf('fine'), gone.signal)).rejects.toThrow('has gone');
  await expect(engine.inspect(optionsOf('fine'), never)).resolves.toMatchObject({});
});

test.each([
  ['is refused', 'INVALID_ARGUMENT', 'EMULATOR_INVALID_RATIO', 'ratios'],
  ['takes all memory', 'INVALID_ARGUMENT', 'STEP_TOO_LARGE', 'data'],
  ['ends its thread', 'UNAVAILABLE', 'ENGINE_ENDED', undefined],
])('a thread that %s: %s', async (model, code, reason, field) => {
  const error = await engine.inspect(optionsOf(model), never).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code, reason });
  expect((error as { fieldViolations: { field: string }[] }).fieldViolations[0]?.field).toBe(field);
  expect((error as Error).message).not.toMatch(/worker|\.[cm]?js/);
  await expect(engine.inspect(optionsOf('fine'), never)).resolves.toMatchObject({});
});
