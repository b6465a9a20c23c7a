import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFluxFolder } from '@emloc/models/testing';
import { resolveTuneOptions } from '@emloc/pipeline';

import { runEngineTask } from '../src/outcome/engine-tasks.js';
import { inspect } from '../src/outcome/inspect.js';
import { scanPictures } from '../src/outcome/scan-pictures.js';

const images = fileURLToPath(new URL('../../../examples/images/data/test/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'emloc-pictures-'));
const model = join(folder, 'model');

/** A folder of two pictures, and of what else a test has in it. */
function folderOf(name: string, texts: Readonly<Record<string, string>> = {}): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const file of ['000.png', '001.png']) cpSync(join(images, file), join(path, file));
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(path, file), text);
  return path;
}

const data = folderOf('data');
const { signal } = new AbortController();

beforeAll(() => writeFluxFolder(model));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Changes = Partial<Parameters<typeof resolveTuneOptions>[0]>;

const optionsOf = (changes: Changes) =>
  resolveTuneOptions({
    model,
    data,
    out: 'x',
    resolution: 64,
    instancePrompt: 'a sks',
    ...changes,
  });
const problemsOf = async (changes: Changes) =>
  (await inspect(optionsOf(changes), () => undefined)).found;

test('a model that makes pictures decides the defaults, and what is looked at', async () => {
  const small = expect.stringMatching(/: is too small: .* at a resolution of 512 /);
  expect(await inspect(optionsOf({ rank: 16, resolution: null }), () => undefined)).toEqual({
    isEmulated: true,
    isUndecided: false,
    decided: {
      ratios: ['0.5'],
      alpha: 4,
      learningRate: 1e-4,
      schedule: 'constant',
      warmupRatio: 0,
      weightDecay: 1e-4,
      steps: 500,
      batch: 1,
      gradientAccumulation: 4,
      resolution: 512,
    },
    found: {
      kind: 'pictures',
      problems: [0, 1].map(() => ({ option: 'data', description: small })),
    },
  });
  expect(
    await inspect(optionsOf({ ratios: ['1'], optimizer: 'prodigy' }), () => undefined),
  ).toMatchObject({
    isEmulated: false,
    decided: { learningRate: 1 },
    found: { kind: 'pictures', problems: [] },
  });
});

test('options and targets that mean nothing to it are refused', async () => {
  await expect(inspect(optionsOf({ epochs: 2 }), () => undefined)).rejects.toMatchObject({
    code: 'PIPELINE_INVALID_OPTION',
  });
  await expect(
    inspect(optionsOf({ targets: '.*gate_proj' }), () => undefined),
  ).rejects.toMatchObject({
    code: 'FINETUNE_INVALID_OPTION',
  });
});

test('problems of every folder have its option', async () => {
  const classData = folderOf('class', { 'broken.png': 'no image' });
  const validation = folderOf('validation', { 'text.jpg': 'neither' });
  expect(await problemsOf({ classData, classPrompt: 'a thing', validation })).toEqual({
    kind: 'pictures',
    problems: [
      { option: 'classData', description: expect.stringMatching(/class\/broken\.png: /) },
      { option: 'validation', description: expect.stringMatching(/^text\.jpg: /) },
    ],
  });
});

test('every picture has a caption where there is no prompt', async () => {
  const captioned = folderOf('captioned', { '000.txt': 'a red square' });
  expect(await problemsOf({ data: captioned, instancePrompt: null })).toMatchObject({
    problems: [{ option: 'data', description: expect.stringMatching(/^001\.png: /) }],
  });
});

test('pictures lie in their folder', async () => {
  const linked = folderOf('linked');
  symlinkSync(join(images, '002.png'), join(linked, 'link.png'));
  expect(await problemsOf({ data: linked })).toMatchObject({
    problems: [{ option: 'data', description: expect.stringMatching(/^link\.png: /) }],
  });
  const plan = {
    kind: 'plan',
    options: optionsOf({ data: linked }),
    device: 'cpu',
    threads: 1,
  } as const;
  const context = {
    request: () => Promise.reject(new Error('not asked')),
    signal,
    emit: () => undefined,
  };
  await expect(runEngineTask(plan, context)).rejects.toMatchObject({
    messageForOwner: expect.stringContaining('link.png: '),
  });
});

test('at most ten problems of a folder are told', async () => {
  const names = Array.from({ length: 12 }, (_, index) => [`bad-${index}.png`, 'none']);
  const bad = folderOf('bad', Object.fromEntries(names) as Record<string, string>);
  expect(await problemsOf({ data: bad })).toMatchObject({ problems: { length: 10 } });
});

test('a folder that takes too long is not judged, one that is not there is', async () => {
  const options = {
    ...optionsOf({ data: folderOf('late', { 'a.png': 'none' }) }),
    resolution: 64,
  };
  const late = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
  expect(await scanPictures(options, late)).toEqual([]);
  const absent = { ...options, data: join(folder, 'absent') };
  await expect(scanPictures(absent, signal)).rejects.toMatchObject({
    code: 'DATASET_UNREADABLE',
  });
});
