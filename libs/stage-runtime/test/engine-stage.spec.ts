import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultTuneOptions } from '@emloc/pipeline';

import type { EngineTask } from '../src/contract.js';
import { runEngineStage, type EngineStage } from '../src/engine/engine-stage.js';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'emloc-engine-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const root = process.cwd();
const context = {
  signal: new AbortController().signal,
  emit: () => undefined,
  request: async () => null,
};

function taskOf(): EngineTask {
  const options = {
    ...defaultTuneOptions,
    model: join(root, 'examples/models/tiny-qwen2'),
    data: join(root, 'examples/data/train.jsonl'),
    out: '',
    vramBytes: 2 ** 26,
    maxLength: 64,
    steps: 1,
  };
  return { job: 'job', options, device: 'cpu', threads: 1, scratch };
}

const divide: EngineStage<object>['divide'] = async ({ budgetBytes }) => ({
  budgetBytes,
  memory: {} as never,
});

test('a stage is reported with its device, which is closed', async () => {
  const closed: string[] = [];
  const { report, value } = await runEngineStage(taskOf(), context, {
    divide,
    run: async ({ environment: { device } }) => {
      noteClose(device, closed);
      return { value: 7 };
    },
  });
  expect([value, report.device.startsWith('cpu'), closed]).toEqual([7, true, ['device']]);
});

test('the device is closed although files of the stage cannot be', async () => {
  const closed: string[] = [];
  const run: EngineStage<object>['run'] = async ({ environment: { device, factors } }) => {
    noteClose(device, closed);
    Object.assign(factors, { close: () => Promise.reject(new Error('a file is broken')) });
    return {};
  };
  await expect(runEngineStage(taskOf(), context, { divide, run })).rejects.toThrow(
    'a file is broken',
  );
  expect(closed).toEqual(['device']);
});

function noteClose(device: { close(): Promise<void> }, closed: string[]): void {
  const close = device.close.bind(device);
  Object.assign(device, {
    close: async () => {
      closed.push('device');
      await close();
    },
  });
}
