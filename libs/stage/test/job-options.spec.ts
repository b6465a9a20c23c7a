import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  JobSpecSchema,
  toTuneOptionsMessage,
  type JobSpec,
  type StoredObject,
} from '@emloc/contracts';
import { bucketNames, jobNameOf, storedObjectMessage } from '@emloc/job-storage';
import { streamSource } from '@emloc/nats';
import { defaultTuneOptions } from '@emloc/pipeline';
import { packFiles } from '@emloc/untrusted';

import { jobOptionsOf } from '../src/service/job-options.js';
import { startStageHarness, type StageHarness } from './stage-harness.js';

let harness: StageHarness;
let outside: string;
let folder: string;
beforeAll(async () => {
  harness = await startStageHarness();
});
afterAll(() => harness.stop());
beforeEach(async () => {
  outside = await mkdtemp(join(tmpdir(), 'emloc-options-'));
  folder = await mkdtemp(join(outside, 'job-'));
});
afterEach(() => rm(outside, { recursive: true, force: true }));

const rows = '{"prompt":"a","completion":"b"}\n';
const hostile = '../../../escape.jsonl';

async function upload(name: string, text: string | Buffer = rows): Promise<StoredObject> {
  return storedObjectMessage(
    bucketNames.datasets,
    await harness.storage.datasets.put(name, streamSource([Buffer.from(text)])),
  );
}

function specOf(objects: { data?: StoredObject; validation?: StoredObject }, job = 'job'): JobSpec {
  const dataset = `datasets/${hostile}`;
  const options = toTuneOptionsMessage({
    ...defaultTuneOptions,
    model: '/model',
    data: { dataset },
    validation: objects.validation ? { dataset } : null,
  });
  return create(JobSpecSchema, { job: jobNameOf(job), options, ...objects });
}

const fetchInto = (spec: JobSpec, signal = new AbortController().signal) =>
  jobOptionsOf(spec, harness.storage, {
    folder,
    signal,
    modelFolder: (model) => Promise.resolve(`/resolved${model}`),
  });

test('uploaded rows lie in the folder under names of its own, whatever they were called, for their owner alone', async () => {
  const { data, validation } = await fetchInto(
    specOf({ data: await upload(hostile), validation: await upload('/etc/passwd', 'other') }),
  );
  expect([data, validation]).toEqual([
    join(folder, 'data.jsonl'),
    join(folder, 'validation.jsonl'),
  ]);
  expect([await readFile(data, 'utf8'), await readFile(validation ?? '', 'utf8')]).toEqual([
    rows,
    'other',
  ]);
  expect((await stat(data)).mode & 0o777).toBe(0o600);
  expect([(await readdir(outside)).length, (await readdir(folder)).sort()]).toEqual([
    1,
    ['data.jsonl', 'validation.jsonl'],
  ]);
});

test('uploaded ones of several files are found by their order, among paths', async () => {
  const dataset = `datasets/${hostile}`;
  const options = toTuneOptionsMessage({
    ...{ ...defaultTuneOptions, model: '/model', data: '/rows/a.jsonl' },
    ...{ moreData: [{ dataset }, '/rows/c.jsonl', { dataset }], dataWeights: '1,2,3,4' },
  });
  const moreData = [await upload('b'), await upload('d', 'other')];
  const spec = create(JobSpecSchema, { job: jobNameOf('job'), options, moreData });
  const resolved = await fetchInto(spec);
  expect([resolved.data, ...resolved.moreData]).toEqual([
    '/rows/a.jsonl',
    join(folder, 'data-2.jsonl'),
    '/rows/c.jsonl',
    join(folder, 'data-4.jsonl'),
  ]);
  expect(await readFile(join(folder, 'data-4.jsonl'), 'utf8')).toBe('other');
});

async function archiveOf(...names: readonly string[]): Promise<Buffer> {
  const path = join(outside, 'content');
  await writeFile(path, rows);
  const pieces: Uint8Array[] = [];
  for await (const piece of packFiles(names.map((name) => ({ name, path })))) pieces.push(piece);
  return Buffer.concat(pieces);
}

test('archives become folders, and rows in them are read there', async () => {
  const { data, validation } = await fetchInto(
    specOf({
      data: await upload('pictures', await archiveOf('a.png', 'in/b.png')),
      validation: await upload('images', await archiveOf('rows.jsonl', 'a.png')),
    }),
  );
  expect([data, validation]).toEqual([
    join(folder, 'data'),
    join(folder, 'validation', 'rows.jsonl'),
  ]);
  expect((await readdir(folder)).sort()).toEqual(['data', 'validation']);
  expect(await readFile(join(data, 'in', 'b.png'), 'utf8')).toBe(rows);
});

test('an archive whose names lead elsewhere is refused, and nothing is written there', async () => {
  const archive = await archiveOf('a/../escape.png'.replaceAll('/', '_'), 'b.png');
  const named = archive.subarray(0, 100);
  const sum = (): number => archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  const before = sum();
  named.write('a/../escape.png');
  const checksum = Number.parseInt(archive.toString('latin1', 148, 154), 8) + sum() - before;
  archive.write(checksum.toString(8).padStart(6, '0'), 148);
  const data = await upload('hostile', archive);
  await expect(fetchInto(specOf({ data }))).rejects.toMatchObject({
    code: 'JOB_DATASET_INVALID',
    message: expect.stringContaining('data: the uploaded archive cannot be used: the name "a/../e'),
  });
  expect(await readdir(join(folder, 'data'))).toEqual([]);
});

test('the model is where this host has it', async () => {
  const { model } = await fetchInto(specOf({ data: await upload('rows') }));
  expect(model).toBe('/resolved/model');
});

test('a link that stands in the place of the rows is not followed', async () => {
  const victim = join(outside, 'victim');
  await writeFile(victim, 'untouched');
  await symlink(victim, join(folder, 'data.jsonl'));
  await expect(fetchInto(specOf({ data: await upload('rows') }))).rejects.toMatchObject({
    code: 'EEXIST',
  });
  expect(await readFile(victim, 'utf8')).toBe('untouched');
});

test.each([
  [
    'another hash than the job names',
    async () => ({ ...(await upload('rows')), sha256: '0'.repeat(64) }),
    'JOB_SPEC_MISSING',
  ],
  [
    'nothing in the store',
    async () => ({ ...(await upload('rows')), name: 'gone' }),
    'OBJECT_NOT_FOUND',
  ],
  [
    "a bucket that is none of the jobs'",
    async () => ({ ...(await upload('rows')), bucket: bucketNames.specs }),
    'JOB_SPEC_MISSING',
  ],
  ['no place in the spec', async () => undefined, 'JOB_SPEC_MISSING'],
])('rows with %s are refused', async (_what, object, code) => {
  await expect(fetchInto(specOf({ data: await object() }))).rejects.toMatchObject({ code });
});

test('an attempt that has ended fetches nothing', async () => {
  await expect(
    fetchInto(
      specOf({ data: await upload('rows') }),
      AbortSignal.abort(new Error('the call has ended')),
    ),
  ).rejects.toMatchObject({ code: 'OBJECT_STALLED' });
});

test('the rows go with the attempt, whether it is done or fails', async () => {
  const stage = harness.open();
  const good = await upload('rows');
  await harness.storage.writeSpec(specOf({ data: good }, 'good'));
  await harness.storage.writeSpec(specOf({ data: { ...good, sha256: '0'.repeat(64) } }, 'bad'));
  const read = await stage.call(
    async ({ options }) => (await readFile(options.data, 'utf8')).length,
    { job: 'good', token: 1 },
  ).result;
  expect(read).toBe(rows.length);
  await expect(stage.call(async () => 1, { job: 'bad', token: 1 }).result).rejects.toMatchObject({
    code: 'NOT_FOUND',
    reason: 'JOB_SPEC_MISSING',
  });
  expect(stage.scratch()).toEqual([]);
});
