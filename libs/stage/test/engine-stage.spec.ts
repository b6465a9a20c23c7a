import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultTuneOptions } from '@emloc/pipeline';

import type { EngineTask, RuntimeRequest } from '../src/contract.js';
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
  request: async (request: RuntimeRequest) => (request.type === 'input' ? request.hash : null),
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

test('nothing is begun with other files than those that the job was begun with', async () => {
  const request = async ({ type }: RuntimeRequest) => (type === 'input' ? 'another' : null);
  let isBegun = false;
  const run = async () => {
    isBegun = true;
    return {};
  };
  await expect(
    runEngineStage(taskOf(), { ...context, request }, { divide, run }),
  ).rejects.toMatchObject({
    code: 'PIPELINE_RESUME_MISMATCH',
    message: expect.stringContaining('tiny-qwen2'),
  });
  expect(isBegun).toBe(false);
});

test('a tensor that another process has read with other values ends the stage, told as such', async () => {
  const name = 'model.norm.weight';
  const request = async (asked: RuntimeRequest) => {
    if (asked.type !== 'input') return null;
    return asked.name.endsWith(name) ? 'another' : asked.hash;
  };
  const run: EngineStage<object>['run'] = async ({ job }) => {
    const { layout, source } = job.model;
    for (const [page, { tensors }] of layout.pages.entries())
      for (const { name: tensor, checkpointName, shape } of tensors) {
        const dtype = job.model.checkpoint.tensors.get(checkpointName)?.dtype;
        const elements = shape.reduce((product, extent) => product * extent, 1);
        const bytes = new Uint8Array(elements * (dtype === 'float32' ? 4 : 2));
        await source.read(page, tensor, bytes).catch((cause: unknown) => {
          throw new Error('pager', { cause });
        });
      }
    return {};
  };
  await expect(
    runEngineStage(taskOf(), { ...context, request }, { divide, run }),
  ).rejects.toMatchObject({
    code: 'PIPELINE_RESUME_MISMATCH',
    message: expect.stringContaining(`tensor ${name}`),
  });
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
