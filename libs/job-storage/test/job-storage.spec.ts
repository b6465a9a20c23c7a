import { Readable } from 'node:stream';
import { create } from '@bufbuild/protobuf';
import { JobSpecSchema } from '@emloc/contracts';
import { streamSource } from '@emloc/nats';

import {
  bucketNames,
  jobIdOf,
  jobNameOf,
  memorySource,
  storedObjectMessage,
  tensorKeys,
  type JobStorage,
} from '../src/index.js';
import { startStorage, type StorageHarness } from '../src/testing/index.js';

let harness: StorageHarness;
let storage: JobStorage;
beforeAll(async () => {
  harness = await startStorage();
  ({ storage } = harness);
});
afterAll(() => harness.stop());

const spec = (job: string) =>
  create(JobSpecSchema, {
    job: jobNameOf(job),
    tenant: 'team',
    options: { model: '/models/m', vramBytes: 2n ** 40n },
  });

function putTensors(key: string): Promise<unknown> {
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  return storage.tensors.write(key, {
    tensors: [memorySource({ name: 't', dtype: 'float32', shape: [3] }, bytes)],
    attributes: {},
  });
}

describe('specs', () => {
  it('are written once, and read by the reference that the writer got', async () => {
    const reference = await storage.writeSpec(spec('once'));
    expect(reference).toMatchObject({ bucket: bucketNames.specs, key: 'once' });
    expect(await storage.readSpec(reference)).toEqual(spec('once'));
    expect(
      await storage.writeSpec(create(JobSpecSchema, { job: jobNameOf('once'), tenant: 'another' })),
    ).toEqual(reference);
    expect((await storage.readSpec(reference)).tenant).toBe('team');
  });

  it('are one, whoever writes first, when several do at the same time', async () => {
    const references = await Promise.all(
      Array.from({ length: 8 }, () => storage.writeSpec(spec('together'))),
    );
    expect(new Set(references.map(({ revision }) => revision)).size).toBe(1);
  });

  it('are missing when they are deleted, of another revision or elsewhere', async () => {
    const reference = await storage.writeSpec(spec('gone'));
    for (const other of [
      { ...reference, revision: reference.revision + 1n },
      { ...reference, key: 'none' },
      { ...reference, bucket: bucketNames.stages },
    ]) {
      await expect(storage.readSpec(other)).rejects.toMatchObject({ code: 'JOB_SPEC_MISSING' });
    }
    await storage.deleteSpec('gone');
    await expect(storage.readSpec(reference)).rejects.toMatchObject({
      code: 'JOB_SPEC_MISSING',
      message: expect.stringContaining('gone'),
    });
  });
});

describe('stage records', () => {
  it('belong to the newest attempt', async () => {
    const { stages } = storage;
    expect(await stages.read('j', 'train')).toBeUndefined();
    expect(await stages.claim('j', 'train', 3)).toEqual({
      fence: 3,
      checkpoint: null,
      result: null,
    });
    await stages.write('j', 'train', 3, { checkpoint: 'k' });
    await expect(stages.claim('j', 'train', 2)).rejects.toMatchObject({
      code: 'STAGE_STALE_FENCING_TOKEN',
      message: expect.stringContaining('older than 3'),
    });
    expect(await stages.claim('j', 'train', 3)).toMatchObject({ checkpoint: 'k' });
    expect(await stages.claim('j', 'train', 5)).toEqual({
      fence: 5,
      checkpoint: 'k',
      result: null,
    });
    await expect(stages.write('j', 'train', 3, { checkpoint: 'stale' })).rejects.toMatchObject({
      code: 'STAGE_STALE_FENCING_TOKEN',
    });
    await stages.write('j', 'train', 5, { result: { loss: 1 } });
    expect(await stages.read('j', 'train')).toEqual({
      fence: 5,
      checkpoint: 'k',
      result: { loss: 1 },
    });
    expect(await stages.read('j', 'refine')).toBeUndefined();
  });

  it('are claimed by the highest token when attempts begin at the same time', async () => {
    const claims = await Promise.allSettled(
      [1, 2, 3, 4, 5, 6].map((token) => storage.stages.claim('race', 'train', token)),
    );
    expect(claims.at(-1)).toMatchObject({ status: 'fulfilled' });
    expect(await storage.stages.read('race', 'train')).toMatchObject({ fence: 6 });
  });
});

test('an input has the hash that was remembered first, whoever asks, until its job is discarded', async () => {
  const remember = (job: string, hash: string, name = 'tensor "a.b" *') =>
    storage.inputs.remember(job, { name, hash });
  const answers = await Promise.all(['1', '2', '3', '4'].map((hash) => remember('reads', hash)));
  const [first = ''] = answers;
  expect(answers).toEqual(Array.from({ length: 4 }, () => first));
  expect(['1', '2', '3', '4']).toContain(first);
  expect(await remember('reads', 'later')).toBe(first);
  expect(await remember('reads', 'other', 'tensor c')).toBe('other');
  expect(await remember('reads-too', 'other')).toBe('other');
  await storage.discardWork('reads');
  expect(await remember('reads', 'anew')).toBe('anew');
  expect(await remember('reads-too', 'anew')).toBe('other');
});

test('discarding a job leaves nothing of its work, and touches nothing else', async () => {
  const reference = await storage.writeSpec(spec('old'));
  const kinds = (job: string): string[] => [
    tensorKeys.statistics(job, 0, 1),
    tensorKeys.factors(job, 1, 2),
    tensorKeys.training(job, 'refine', { token: 3, step: 50 }),
    tensorKeys.adapter(job, 'train', 3),
  ];
  // The second job's name begins with the first one's.
  for (const job of ['old', 'older']) {
    for (const key of kinds(job)) await putTensors(key);
    await storage.stages.claim(job, 'train', 1);
    await (
      await storage.openLayers(job, 'calibrator')
    ).add('block-0', { block: 0, statistics: 's' });
  }
  await storage.artifacts.put('old/adapter.bin', streamSource(Readable.from([new Uint8Array(3)])));

  for (let times = 0; times < 2; times += 1) await storage.discardWork('old');

  expect(await storage.tensors.list(tensorKeys.ofJob('old'))).toEqual([]);
  expect(await storage.stages.read('old', 'train')).toBeUndefined();
  expect((await storage.tensors.list(tensorKeys.ofJob('older'))).sort()).toEqual(
    kinds('older').sort(),
  );
  expect(await storage.stages.read('older', 'train')).toMatchObject({ fence: 1 });
  expect((await (await storage.openLayers('older', 'x')).states()).size).toBe(1);
  expect((await (await storage.openLayers('old', 'x')).states()).size).toBe(0);
  expect((await storage.readSpec(reference)).tenant).toBe('team');
  expect(await storage.artifacts.info('old/adapter.bin')).toMatchObject({ byteLength: 3 });
});

test('objects are named with bucket, size and hash in hexadecimal', async () => {
  const stored = await storage.datasets.put(
    'd',
    streamSource(Readable.from([new TextEncoder().encode('abc')])),
  );
  expect(storedObjectMessage(bucketNames.datasets, stored)).toMatchObject({
    bucket: 'emloc-datasets',
    name: 'd',
    sizeBytes: 3n,
    sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  });
  expect(storage.bucketOf('emloc-datasets')).toBe(storage.datasets);
  expect(() => storage.bucketOf('emloc-specs')).toThrow(
    expect.objectContaining({ code: 'JOB_SPEC_MISSING' }),
  );
});

test('names and identifiers of jobs', () => {
  expect([jobIdOf('jobs/a'), jobIdOf('a'), jobNameOf('a')]).toEqual(['a', 'a', 'jobs/a']);
});
