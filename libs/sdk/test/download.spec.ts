import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Artifact_Kind as Kind, Job_State as State } from '@emloc/contracts';
import { RpcError } from '@emloc/rpc';

import { placeArtifacts } from '../src/artifact-paths.js';
import type { Artifact, EmlocClient } from '../src/index.js';
import { sha256Of, type FakeDeployment } from '../src/testing/index.js';
import {
  bytesOf,
  clientOf,
  closeAll,
  collect,
  start,
  temporaryFolder,
  thrownBy,
} from './fixtures.js';

afterEach(closeAll);

const part = 64 * 1024;
const bytes = bytesOf(10 * part + 123);
const away = new RpcError('UNAVAILABLE', 'not now');

async function withArtifact(options: { sha256?: string } = {}) {
  const deployment = await start();
  const job = deployment.service.addJob({ state: State.SUCCEEDED });
  const name = deployment.service.addArtifact(job, 'adapter_model.safetensors', {
    bytes,
    kind: Kind.ADAPTER,
    ...options,
  });
  const folder = await temporaryFolder();
  return { ...deployment, job, name, folder, file: join(folder, 'model') };
}

async function isWhole(file: string, expected = bytes): Promise<boolean> {
  return Buffer.compare(await readFile(file), expected) === 0;
}

async function artifactOf(client: EmlocClient, job: string): Promise<Artifact> {
  return (await collect(client.listArtifacts(job)))[0] as Artifact;
}

describe('downloadArtifact', () => {
  it('writes the file and tells how far it is', async () => {
    const { client, name, file, folder } = await withArtifact();
    const progress: number[] = [];
    await client.downloadArtifact(name, file, {
      onProgress: (done, total) => progress.push(done, total),
    });
    expect(await isWhole(file)).toBe(true);
    expect(progress.slice(0, 4)).toEqual([0, bytes.length, part, bytes.length]);
    expect(progress.slice(-2)).toEqual([bytes.length, bytes.length]);
    expect(await readdir(folder)).toEqual(['model']);
  });

  it('goes on where the connection was cut, however often, and fetches no byte twice', async () => {
    const { client, service, name, file } = await withArtifact();
    service.faults.next(
      'downloadArtifact',
      ...Array.from({ length: 10 }, () => ({ kind: 'cutAfter', messages: 1 }) as const),
    );
    await client.downloadArtifact(name, file);
    expect(await isWhole(file)).toBe(true);
    expect(service.downloadOffsets).toEqual(Array.from({ length: 11 }, (_, index) => index * part));
  });

  it('is taken up by another client, as after a restart', async () => {
    const { client, service, name, file, folder, address } = await withArtifact();
    service.faults.next('downloadArtifact', {
      kind: 'failAfter',
      messages: 6,
      error: new RpcError('PERMISSION_DENIED', 'no'),
    });
    expect((await thrownBy(() => client.downloadArtifact(name, file))).code).toBe(
      'PERMISSION_DENIED',
    );
    expect(await readdir(folder)).toEqual(['model.part']);
    await clientOf(address).downloadArtifact(name, file);
    expect(service.downloadOffsets).toEqual([0, 6 * part]);
    expect(await isWhole(file)).toBe(true);
    expect(await readdir(folder)).toEqual(['model']);
  });

  it('keeps what has arrived when it is aborted', async () => {
    const { client, service, name, file, folder } = await withArtifact();
    const abort = new AbortController();
    const error = await thrownBy(() =>
      client.downloadArtifact(name, file, {
        signal: abort.signal,
        onProgress: (done) => done >= 3 * part && abort.abort(),
      }),
    );
    expect(error.code).toBe('CANCELLED');
    expect(await readdir(folder)).toEqual(['model.part']);
    await client.downloadArtifact(name, file);
    expect(service.downloadOffsets.at(-1)).toBeGreaterThanOrEqual(3 * part);
    expect(await isWhole(file)).toBe(true);
  });

  it.each([
    ['that is of something else', bytesOf(3 * part, 7)],
    ['that is too long', bytesOf(bytes.length + 1, 1)],
  ])('starts over from a partial file %s', async (_, stale) => {
    const { client, service, name, file } = await withArtifact();
    await writeFile(`${file}.part`, stale);
    await client.downloadArtifact(name, file);
    expect(await isWhole(file)).toBe(true);
    expect(service.downloadOffsets.at(-1)).toBe(0);
  });

  it('only checks a partial file that is whole', async () => {
    const { client, service, name, file } = await withArtifact();
    await writeFile(`${file}.part`, bytes);
    await client.downloadArtifact(name, file);
    expect(service.counts.downloadArtifact).toBeUndefined();
    expect(await isWhole(file)).toBe(true);
  });

  it('fetches a file again whose bytes arrived changed, and fails when they always do', async () => {
    const { client, service, name, file, folder } = await withArtifact();
    service.faults.next('downloadArtifact', { kind: 'flipBit' });
    await client.downloadArtifact(name, file);
    expect(await isWhole(file)).toBe(true);
    expect(service.downloadOffsets).toEqual([0, 0]);
    const wrong = service.addArtifact('jobs/j1', 'b', {
      bytes,
      kind: Kind.ADAPTER,
      sha256: 'f'.repeat(64),
    });
    expect((await thrownBy(() => client.downloadArtifact(wrong, join(folder, 'b')))).code).toBe(
      'SDK_DOWNLOAD_CORRUPT',
    );
    expect(await readdir(folder)).toEqual(['model']);
  });

  it('asks again for what a stream that ended early lacks, and for bytes from another place', async () => {
    const { client, service, name, file } = await withArtifact();
    service.faults.next(
      'downloadArtifact',
      { kind: 'endAfter', messages: 2 },
      { kind: 'misplace' },
      { kind: 'endAfter', messages: 3 },
    );
    await client.downloadArtifact(name, file);
    expect(service.downloadOffsets).toEqual([0, 2 * part, 2 * part, 5 * part]);
    expect(await isWhole(file)).toBe(true);
  });

  it('goes on as long as something new arrives', async () => {
    const { client, service, name, file } = await withArtifact();
    service.faults.next(
      'downloadArtifact',
      ...Array.from({ length: 9 }, () => ({ kind: 'endAfter', messages: 1 }) as const),
    );
    await client.downloadArtifact(name, file);
    expect(service.downloadOffsets).toEqual(Array.from({ length: 10 }, (_, index) => index * part));
  });

  it('fails when the server never has the rest', async () => {
    const { client, service, name, file } = await withArtifact();
    service.faults.next(
      'downloadArtifact',
      { kind: 'endAfter', messages: 2 },
      ...Array.from({ length: 9 }, () => ({ kind: 'endAfter', messages: 0 }) as const),
    );
    const error = await thrownBy(() => client.downloadArtifact(name, file));
    expect(error.code).toBe('SDK_DOWNLOAD_CORRUPT');
    expect(error.message).toContain(`ended after ${2 * part} of ${bytes.length} bytes`);
  });

  it('leaves a file that is there as it is, unless it may be replaced', async () => {
    const { client, service, name, file } = await withArtifact();
    await writeFile(file, 'mine');
    expect((await thrownBy(() => client.downloadArtifact(name, file))).code).toBe(
      'SDK_OUTPUT_EXISTS',
    );
    expect(await readFile(file, 'utf8')).toBe('mine');
    await client.downloadArtifact(name, file, { overwrite: true });
    await client.downloadArtifact(name, file);
    expect(service.counts.downloadArtifact).toBe(1);
  });

  it('writes through no symbolic link', async () => {
    const { client, name, file, folder } = await withArtifact();
    const elsewhere = join(folder, 'elsewhere');
    await writeFile(elsewhere, 'mine');
    await symlink(elsewhere, `${file}.part`);
    expect((await thrownBy(() => client.downloadArtifact(name, file))).code).toBe(
      'SDK_FILE_FAILED',
    );
    expect(await readFile(elsewhere, 'utf8')).toBe('mine');
  });

  it('waits for no pipe in the place of what has arrived', async () => {
    const { client, name, file } = await withArtifact();
    execFileSync('mkfifo', [`${file}.part`]);
    const error = await thrownBy(() => client.downloadArtifact(name, file));
    expect([error.code, error.message]).toEqual([
      'SDK_FILE_FAILED',
      `cannot write ${file}.part: ${file}.part is not a regular file`,
    ]);
  });

  it('says that there is no such artifact, or that the file cannot be written', async () => {
    const { client, job, name, file } = await withArtifact();
    expect(
      (await thrownBy(() => client.downloadArtifact(`${job}/artifacts/other`, file))).code,
    ).toBe('SDK_ARTIFACT_MISSING');
    await writeFile(file, 'a file');
    expect((await thrownBy(() => client.downloadArtifact(name, join(file, 'below')))).code).toBe(
      'SDK_FILE_FAILED',
    );
  });
});

describe('readArtifact', () => {
  it('gives the bytes to any sink over broken connections', async () => {
    const { client, service, job } = await withArtifact();
    service.faults.next(
      'downloadArtifact',
      { kind: 'failAfter', messages: 3, error: away },
      { kind: 'cutAfter', messages: 2 },
    );
    const artifact = await artifactOf(client, job);
    expect(sha256Of(Buffer.concat(await collect(client.readArtifact(artifact))))).toBe(
      sha256Of(bytes),
    );
    expect(
      sha256Of(Buffer.concat(await collect(client.readArtifact(artifact, { offset: 700 })))),
    ).toBe(sha256Of(bytes.subarray(700)));
  });

  it('ends in an error when the hash is not the announced one', async () => {
    const { client, job } = await withArtifact({ sha256: 'f'.repeat(64) });
    const artifact = await artifactOf(client, job);
    expect((await thrownBy(() => collect(client.readArtifact(artifact)))).code).toBe(
      'SDK_DOWNLOAD_CORRUPT',
    );
  });
});

interface File {
  readonly path: string;
  readonly kind: Kind;
}

const adapterFiles: readonly File[] = [
  { path: 'adapter_model.safetensors', kind: Kind.ADAPTER },
  { path: 'adapter_config.json', kind: Kind.ADAPTER },
  { path: 'emloc.json', kind: Kind.REPORT },
  { path: 'uncorrected/adapter_model.safetensors', kind: Kind.UNCORRECTED_ADAPTER },
  { path: 'adapter_config.json', kind: Kind.UNCORRECTED_ADAPTER },
];
const mergedFiles: readonly File[] = [
  { path: 'merged/config.json', kind: Kind.MERGED_CHECKPOINT },
  { path: 'model.safetensors', kind: Kind.MERGED_CHECKPOINT },
];
const whole = [
  'adapter_config.json',
  'adapter_model.safetensors',
  'emloc.json',
  'uncorrected/adapter_config.json',
  'uncorrected/adapter_model.safetensors',
];

function addFiles({ service }: FakeDeployment, job: string, files: readonly File[]): void {
  files.forEach(({ path, kind }, index) =>
    service.addArtifact(job, path, { bytes: bytesOf(2 * part + index, index + 1), kind }),
  );
}

async function withJob(files: readonly File[], state = State.SUCCEEDED) {
  const deployment = await start();
  const job = deployment.service.addJob({ state });
  addFiles(deployment, job, files);
  const parent = await temporaryFolder();
  return { ...deployment, job, parent, folder: join(parent, 'out') };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

describe('downloadJob', () => {
  it('writes the adapter in the layout of `emloc tune`, and not the merged checkpoint', async () => {
    const { client, job, folder, parent } = await withJob([...mergedFiles, ...adapterFiles]);
    const progress: number[] = [];
    await client.downloadJob(job, folder, {
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(await filesIn(folder)).toEqual(whole);
    expect(await isWhole(join(folder, 'adapter_model.safetensors'), bytesOf(2 * part + 2, 3))).toBe(
      true,
    );
    expect(
      await isWhole(
        join(folder, 'uncorrected', 'adapter_model.safetensors'),
        bytesOf(2 * part + 5, 6),
      ),
    ).toBe(true);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    expect(await readdir(parent)).toEqual(['out']);
  });

  it('writes the merged checkpoint when asked', async () => {
    const { client, job, folder } = await withJob([...adapterFiles, ...mergedFiles]);
    await client.downloadJob(job, folder, { part: 'merged' });
    expect(await filesIn(folder)).toEqual(['config.json', 'model.safetensors']);
  });

  it('writes what a model that makes pictures has learnt, and the merged model', async () => {
    const adapter = 'pytorch_lora_weights.safetensors';
    const vae = 'vae/config.json';
    const { client, job, folder } = await withJob([
      { path: adapter, kind: Kind.ADAPTER },
      { path: `merged/${vae}`, kind: Kind.MERGED_CHECKPOINT },
    ]);
    await client.downloadJob(job, folder);
    expect(await filesIn(folder)).toEqual([adapter]);
    await client.downloadJob(job, folder, { part: 'merged', overwrite: true });
    expect(await filesIn(folder)).toEqual([vae]);
  });

  it('leaves nothing where the folder is expected when it fails, and goes on from there the next time', async () => {
    const { client, service, job, folder, parent } = await withJob(adapterFiles);
    service.faults.next(
      'downloadArtifact',
      { kind: 'none' },
      { kind: 'none' },
      { kind: 'failAfter', messages: 1, error: new RpcError('PERMISSION_DENIED', 'no') },
    );
    expect((await thrownBy(() => client.downloadJob(job, folder))).code).toBe('PERMISSION_DENIED');
    expect(await readdir(parent)).toEqual(['out.part']);
    await client.downloadJob(job, folder);
    expect(service.downloadOffsets).toEqual([0, 0, 0, part, 0, 0]);
    expect(await filesIn(folder)).toEqual(whole);
    expect(await readdir(parent)).toEqual(['out']);
  });

  it('leaves out what does not belong into a folder that was begun before', async () => {
    const { client, job, folder, parent } = await withJob(adapterFiles);
    const elsewhere = join(parent, 'elsewhere');
    await mkdir(join(`${folder}.part`, 'old'), { recursive: true });
    await mkdir(elsewhere);
    await writeFile(join(`${folder}.part`, 'old', 'file'), 'old');
    await writeFile(join(`${folder}.part`, 'emloc.json'), 'old');
    await symlink(elsewhere, join(`${folder}.part`, 'uncorrected'));
    await client.downloadJob(job, folder);
    expect(await filesIn(folder)).toEqual(whole);
    expect(await readdir(elsewhere)).toEqual([]);
  });

  it('replaces nothing but an adapter or a checkpoint, and that only when it may', async () => {
    const { client, job, folder, parent } = await withJob(adapterFiles);
    await mkdir(folder);
    await writeFile(join(folder, 'thesis.txt'), 'mine');
    for (const overwrite of [false, true])
      expect((await thrownBy(() => client.downloadJob(job, folder, { overwrite }))).code).toBe(
        'SDK_OUTPUT_EXISTS',
      );
    expect(await filesIn(folder)).toEqual(['thesis.txt']);
    await rm(join(folder, 'thesis.txt'));
    await client.downloadJob(job, folder);
    await writeFile(join(folder, 'emloc.json'), 'older');
    expect((await thrownBy(() => client.downloadJob(job, folder))).code).toBe('SDK_OUTPUT_EXISTS');
    await client.downloadJob(job, folder, { overwrite: true });
    expect((await readFile(join(folder, 'emloc.json'))).length).toBe(2 * part + 2);
    expect(await readdir(parent)).toEqual(['out']);
  });

  it('refuses a job that has not succeeded, or that lacks a file of its adapter', async () => {
    const { client, service, job, folder } = await withJob(adapterFiles, State.RUNNING);
    expect((await thrownBy(() => client.downloadJob(job, folder))).code).toBe('SDK_JOB_UNFINISHED');
    const other = service.addJob({ state: State.SUCCEEDED });
    service.addArtifact(other, 'adapter_config.json', { bytes, kind: Kind.ADAPTER });
    const error = await thrownBy(() => client.downloadJob(other, folder));
    expect([error.code, error.message]).toEqual([
      'SDK_ARTIFACT_MISSING',
      `${other} has no adapter_model.safetensors, nor pytorch_lora_weights.safetensors`,
    ]);
  });

  it.each(['../evil', 'EMLOC.json'])(
    'writes nothing when an artifact has the path %j',
    async (path) => {
      const { client, service, job, folder, parent } = await withJob(adapterFiles);
      service.addArtifact(job, path, { bytes, kind: Kind.ADAPTER });
      expect((await thrownBy(() => client.downloadJob(job, folder))).code).toBe('SDK_PATH_UNSAFE');
      expect(await readdir(parent)).toEqual([]);
      expect(service.counts.downloadArtifact).toBeUndefined();
    },
  );
});

describe('placeArtifacts', () => {
  const artifact = (path: string, kind: Artifact['kind'] = 'adapter'): Artifact => ({
    name: path,
    kind,
    path,
    sizeBytes: 1,
    sha256: '',
    createTime: null,
  });
  const adapter = [artifact('adapter_config.json'), artifact('adapter_model.safetensors')];
  const place = (added: Artifact): string[] =>
    placeArtifacts([...adapter, added], { job: 'jobs/1', part: 'adapter' })
      .map(({ segments }) => segments.join('/'))
      .slice(adapter.length);

  it.each([
    '',
    '/etc/passwd',
    '../evil',
    'a/../../evil',
    'a/./b',
    'a//b',
    'a/',
    'C:evil',
    'C:/evil',
    'a\\..\\evil',
    '\\\\host\\share',
    'a\0b',
    'a\nb',
    '..',
    '.',
    'x.part',
    'a/y.part/z',
    'name.',
    'name ',
    'a'.repeat(241),
    `${'a/'.repeat(600)}b`,
    'ADAPTER_config.json',
    'adapter_config.json',
  ])('refuses %j', async (path) => {
    for (const kind of ['adapter', 'report'] as const)
      expect((await thrownBy(async () => place(artifact(path, kind)))).code).toBe(
        'SDK_PATH_UNSAFE',
      );
  });

  it('keeps what belongs to the adapter below its folder', () => {
    expect(place(artifact('notes/emloc.json', 'report'))).toEqual(['notes/emloc.json']);
    expect(place(artifact('adapter_config.json', 'uncorrected'))).toEqual([
      'uncorrected/adapter_config.json',
    ]);
    expect(place(artifact('uncorrected/adapter_config.json', 'uncorrected'))).toEqual([
      'uncorrected/adapter_config.json',
    ]);
    expect(place(artifact('merged/config.json', 'merged'))).toEqual([]);
  });
});

it('listArtifacts gives all files over all pages as plain values', async () => {
  const { client, service, job } = await withJob(adapterFiles);
  const artifacts = await collect(client.listArtifacts(job));
  expect(service.counts.listArtifacts).toBe(2);
  expect(artifacts.map(({ kind }) => kind)).toEqual([
    'adapter',
    'adapter',
    'report',
    'uncorrected',
    'uncorrected',
  ]);
  expect(artifacts[0]).toEqual({
    name: `${job}/artifacts/a1`,
    kind: 'adapter',
    path: 'adapter_model.safetensors',
    sizeBytes: 2 * part,
    createTime: new Date(0),
    sha256: sha256Of(bytesOf(2 * part, 1)),
  });
});
