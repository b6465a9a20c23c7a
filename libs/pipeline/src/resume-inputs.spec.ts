import { cp, mkdir, open, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openCheckpoint } from '@emloc/checkpoint';

import { outputPaths } from '../test/crash.js';
import { cpuTarget, openWorkspace, tinyModel, tuneHost, type Workspace } from '../test/fixtures.js';
import { readInputFiles } from './inputs/input-files.js';
import type { JobEvent } from './job/observer.js';
import type { TuneOptions } from './options/resolve.js';
import { tune, type TuneHost } from './tune.js';

const shape: Partial<TuneOptions> = {
  steps: 3,
  refineSteps: 2,
  batch: 2,
  maxLength: 32,
  calibrationRows: 2,
};
const tensor = 'model.layers.1.mlp.down_proj.weight';

let workspace: Workspace;
let model: string;
let out: string;

beforeEach(async () => {
  workspace = await openWorkspace();
  model = join(workspace.outputs, '..', 'model');
  out = join(workspace.outputs, 'out');
  await cp(tinyModel, model, { recursive: true });
});

afterEach(() => workspace.close());

const options = (): TuneOptions => workspace.options({ ...shape, model });

async function run(host: Partial<TuneHost>): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  const observer = (event: JobEvent): void => {
    events.push(event);
    host.observer?.(event);
  };
  await tune(options(), tuneHost({ ...host, observer }));
  return events;
}

/** Runs until a stage has taken a step. */
async function interrupt(stage: 'train' | 'refine', steps: number): Promise<void> {
  const abort = new AbortController();
  const observer = (event: JobEvent): void => {
    if (event.type === 'step' && event.stage === stage && event.step === steps) abort.abort();
  };
  await expect(run({ observer, signal: abort.signal })).rejects.toMatchObject({
    code: 'PIPELINE_INTERRUPTED',
  });
}

/** Another sign for some values of a tensor, in place; size and times of the file stay. */
async function changeTensor(name: string): Promise<void> {
  const checkpoint = await openCheckpoint(model);
  const { path, start, bytes } = checkpoint.rangeOf(name);
  await checkpoint.close();
  const { atime, mtime } = await stat(path);
  const file = await open(path, 'r+');
  const part = Buffer.alloc(16);
  await file.read(part, 0, part.length, start + bytes - part.length);
  part.forEach((byte, index) => part.writeUInt8(byte ^ (index % 2 === 1 ? 0x80 : 0), index));
  await file.write(part, 0, part.length, start + bytes - part.length);
  await file.close();
  await utimes(path, atime, mtime);
}

/** As if nothing about the files had changed that can be seen from outside. */
async function hideChange(): Promise<void> {
  const path = join(outputPaths(out).progress, 'job.json');
  const identity = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...identity, inputs: await readInputFiles(options()) }));
}

async function expectMismatch(message: RegExp): Promise<void> {
  await expect(run({ mode: 'resume' })).rejects.toMatchObject({
    code: 'PIPELINE_RESUME_MISMATCH',
    message: expect.stringMatching(message),
  });
  expect(await workspace.leftovers()).toEqual(['.out.job']);
}

const adapterOf = (folder: string): Promise<Buffer> =>
  readFile(join(folder, 'adapter_model.safetensors'));

describe('a job is not gone on with', () => {
  it('where values of a tensor have changed: before a device is taken, where the file tells that it was touched', async () => {
    await interrupt('train', 2);
    await changeTensor(tensor);
    const target = cpuTarget();
    await expect(run({ mode: 'resume', target })).rejects.toMatchObject({
      code: 'PIPELINE_RESUME_MISMATCH',
      message: expect.stringContaining(`tensor ${tensor} in model.safetensors`),
    });
    expect(target.opened).toEqual([]);
  });

  it('where values of a tensor have changed: when it is read, where nothing tells', async () => {
    await interrupt('train', 2);
    await changeTensor(tensor);
    await hideChange();
    await expectMismatch(new RegExp(`tensor ${tensor} in model.safetensors`));
  });

  it('where a tensor has changed that was not to be read any more', async () => {
    await interrupt('refine', 2);
    await changeTensor(tensor);
    await hideChange();
    await expectMismatch(new RegExp(`tensor ${tensor}`));
  });

  it.each([
    ['chat_template.jinja', ' ', /model\/chat_template\.jinja has \d+ bytes, it had \d+/],
    [
      'additional_chat_templates/tool_use.jinja',
      '{{ tools }}',
      /model\/additional_chat_templates\/tool_use\.jinja was not there/,
    ],
    ['generation_config.json', ' ', /model\/generation_config\.json has/],
    ['../train.jsonl', '\n', /: data has \d+ bytes, it had \d+/],
    ['../validation.jsonl', '\n', /: validation has \d+ bytes/],
  ])('where %s has changed', async (name, added, message) => {
    await interrupt('train', 1);
    const path = join(model, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, added, { flag: 'a' });
    await expectMismatch(message);
  });

  it('where a row has changed and its length has not', async () => {
    await interrupt('train', 1);
    const { atime, mtime } = await stat(workspace.data);
    const text = await readFile(workspace.data, 'utf8');
    await writeFile(workspace.data, text.replace(/("prompt":")[A-Z]/, '$1_'));
    await utimes(workspace.data, atime, mtime);
    await expectMismatch(/model, data or options differ/);
  });
});

it('a job is gone on with, to the same bytes, where files are but other copies', async () => {
  await run({});
  const whole = await adapterOf(out);
  await rename(out, join(workspace.outputs, 'whole'));
  await interrupt('train', 2);
  const original = `${model}-original`;
  await rename(model, original);
  await cp(original, model, { recursive: true });
  for (const path of [workspace.data, join(model, 'model.safetensors')])
    await utimes(path, new Date(0), new Date(0));
  const events = await run({ mode: 'resume' });
  const steps = events.flatMap((event) =>
    event.type === 'step' && event.stage === 'train' ? [event.step] : [],
  );
  expect(steps).toEqual([3]);
  expect((await adapterOf(out)).equals(whole)).toBe(true);
});
