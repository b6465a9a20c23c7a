import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  fakeAdapter,
  finishJob,
  startFakeDeployment,
  type FakeDeployment,
  type JobFailure,
} from '@emloc/sdk/testing';

import { useResidentEmloc } from './resident-emloc.js';
import { runEmloc, type Interruption, type Run } from './run-emloc.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const token = 'a-secret-token';

let folder: string;
let data: string;
let deployment: FakeDeployment;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-jobs-'));
  data = join(folder, 'data.jsonl');
  await writeFile(data, '{"prompt": "a", "completion": "b"}\n');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  deployment = await startFakeDeployment({ token });
});

afterEach(() => deployment.close());

const resident = useResidentEmloc();

const environment = (): Record<string, string> => ({
  EMLOC_SERVER: deployment.address,
  EMLOC_TOKEN: token,
});

/** Runs `emloc jobs`. */
const jobs = (args: readonly string[], env: Record<string, string> = {}): Promise<Run> =>
  resident(['jobs', ...args], { folder, env: { ...environment(), ...env } });

/** Runs `emloc jobs` as a user does, until it ends of itself or is interrupted. */
const ownProcess = (args: readonly string[], interruption?: Interruption): Promise<Run> =>
  runEmloc(['jobs', ...args], { folder, env: environment(), interruption });

/** The documents of a run that has done its work. */
const json = async (...args: readonly string[]): Promise<Record<string, unknown>[]> =>
  documentsOf(await jobs([...args, '--json']));

function documentsOf({ code, stdout, stderr }: Run): Record<string, unknown>[] {
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const failure: JobFailure = {
  code: 'FAILED_PRECONDITION',
  message: 'loss is NaN at step 4',
  reason: 'FINETUNE_NON_FINITE',
  stage: 'train',
  layer: '3',
};

describe('emloc jobs', () => {
  it('uploads, creates, watches over a cut connection, and downloads in one command', async () => {
    deployment.service.onCreated = (name) => finishJob(deployment.service, name);
    deployment.service.faults.next('watchJob', { kind: 'cutAfter', messages: 2 });
    const out = join(folder, 'one', 'adapter');
    const create = ['create', '--model', '/models/base', '--data', data, '--name', 'mine'];
    const more = ['--steps', '7', '--vram', '1GiB', '--watch', '--download', out, '--json'];
    const documents = documentsOf(await ownProcess([...create, ...more]));
    expect(documents).toEqual([
      expect.objectContaining({
        name: 'jobs/j1',
        state: 'succeeded',
        displayName: 'mine',
        folder: out,
        report: expect.any(Object),
      }),
    ]);
    expect(documents[0]?.['options']).toMatchObject({
      model: '/models/base',
      data: { dataset: expect.stringMatching(/^datasets\//) },
      steps: 7,
      vramBytes: 2 ** 30,
    });
    expect((await readdir(out)).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'emloc.json',
      'uncorrected',
    ]);
    expect(
      Buffer.compare(await readFile(join(out, 'adapter_model.safetensors')), fakeAdapter),
    ).toBe(0);
    expect(deployment.service.datasets.size).toBe(1);
  });

  it('creates from a file on the server or an uploaded one, with a merged checkpoint', async () => {
    const [{ name }] = (await json('upload', data)) as [{ name: string }];
    const [job] = await json(
      'create',
      '--model',
      '/m',
      '--data',
      'server:/data/train.jsonl',
      '--validation',
      name,
      '--merge',
      'float16',
    );
    expect(job).toMatchObject({
      state: 'queued',
      options: { data: '/data/train.jsonl', validation: { dataset: name } },
      merge: { dtype: 'float16' },
    });
    expect(deployment.service.counts.uploadDataset).toBe(1);
  });

  it('takes the flags from a config file', async () => {
    const config = join(folder, 'job.yaml');
    await writeFile(
      config,
      `model: /m\ndata: server:/d\nsteps: 3\nserver: ${deployment.address}\n`,
    );
    const { code, stdout } = await jobs(['create', '--config', config, '--json'], {
      EMLOC_SERVER: 'localhost:1',
    });
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ options: expect.objectContaining({ steps: 3 }) }),
    ]);
  });

  it('lists, shows and cancels', async () => {
    for (let index = 0; index < 3; index += 1)
      deployment.service.addJob({ displayName: `job ${index}` });
    expect((await json('list', '--limit', '2'))[0]).toEqual({
      jobs: [
        expect.objectContaining({ name: 'jobs/j3' }),
        expect.objectContaining({ name: 'jobs/j2' }),
      ],
    });
    expect((await json('cancel', 'j2', '--wait'))[0]).toMatchObject({
      name: 'jobs/j2',
      state: 'cancelled',
    });
    expect((await json('list', '--state', 'cancelled'))[0]).toEqual({
      jobs: [expect.objectContaining({ name: 'jobs/j2' })],
    });
    expect((await json('get', 'jobs/j1'))[0]).toMatchObject({
      name: 'jobs/j1',
      displayName: 'job 0',
    });
    const { stdout } = await jobs(['list']);
    expect(stdout).toMatch(/jobs\/j3 +queued.*job 2\n.*jobs\/j2 +cancelled/);
  });

  it('deletes a job that is over, and no other', async () => {
    const name = deployment.service.addJob();
    expect(await jobs(['delete', name])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${name} is not over`),
    });
    finishJob(deployment.service, name);
    expect(await json('delete', name)).toEqual([{ deleted: name }]);
    expect((await json('list'))[0]).toEqual({ jobs: [] });
    expect((await jobs(['delete', name])).code).toBe(1);
    expect((await jobs(['delete', name, '--allow-missing'])).stdout).toBe(`${name} deleted\n`);
  });

  it('watches with a line for each event and one for the job', async () => {
    const name = deployment.service.addJob();
    finishJob(deployment.service, name);
    const lines = await json('watch', name);
    const events = lines
      .slice(0, -1)
      .map(({ event }) => event as { sequence: number; type: string });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['state', 'stage', 'progress', 'step', 'notice', 'artifact']),
    );
    expect(lines.at(-1)).toEqual({ job: expect.objectContaining({ name, state: 'succeeded' }) });
    expect(await json('watch', name, '--after', `${events.length - 1}`)).toHaveLength(2);
  });

  it('shows people how far a job is, and what came of it', async () => {
    const name = deployment.service.addJob();
    finishJob(deployment.service, name);
    const { code, stdout, stderr } = await jobs(['watch', name]);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/validation loss[\s\S]*emloc jobs download/),
    ]);
    expect(stderr).toMatch(/train: finished after \d.*, loss \d/);
  });

  it('ends with 3 when training has diverged and left nothing, naming stage, layer and cause', async () => {
    const name = deployment.service.addJob();
    deployment.service.fail(name, failure);
    for (const args of [
      ['watch', name],
      ['watch', name, '--json'],
    ]) {
      const { code, stderr } = await jobs(args);
      expect(code).toBe(3);
      expect(stderr).toContain(
        `error: SDK_JOB_FAILED: ${name} failed: stage train, layer 3: loss is NaN at step 4 (FINETUNE_NON_FINITE)\n`,
      );
      expect(stderr).not.toContain('    at ');
    }
    expect((await jobs(['get', name])).stdout).toMatch(
      /state +failed\n[\s\S]*error +stage train, layer 3: loss is NaN at step 4 \(FINETUNE_NON_FINITE\)\n/,
    );
  });

  it('ends with 130 when it is interrupted, and the job goes on', async () => {
    const name = deployment.service.addJob();
    deployment.service.emit(name, { case: 'notice', value: { message: 'working on it' } });
    expect(
      (await ownProcess(['watch', name], { signal: 'SIGINT', moment: /working on it/ })).code,
    ).toBe(130);
    expect((await json('get', name))[0]).toMatchObject({ state: 'queued' });
  });

  it('lists and downloads files, and goes on where an earlier attempt stopped', async () => {
    const name = deployment.service.addJob();
    finishJob(deployment.service, name);
    const [{ artifacts }] = (await json('artifacts', name)) as [
      { artifacts: { name: string; path: string }[] },
    ];
    expect(artifacts.map(({ path }) => path)).toContain('uncorrected/adapter_model.safetensors');
    const out = join(folder, 'two');
    const arrived = join(folder, '.two.download.part');
    await mkdir(arrived);
    await writeFile(join(arrived, 'adapter_model.safetensors.part'), fakeAdapter.subarray(0, 1000));
    expect((await json('download', name, '--out', out))[0]).toEqual({ job: name, out });
    expect(deployment.service.downloadOffsets).toContain(1000);
    const model = artifacts.find(({ path }) => path === 'adapter_model.safetensors') as {
      name: string;
    };
    await json('download', name, '--artifact', model.name, '--out', join(folder, 'model'));
    expect(Buffer.compare(await readFile(join(folder, 'model')), fakeAdapter)).toBe(0);
    expect(await jobs(['download', name, '--out', out])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('SDK_OUTPUT_EXISTS'),
    });
    const files = artifacts.map(({ path }) => path).filter((path) => path !== 'emloc.json');
    await writeFile(join(out, 'emloc.json'), JSON.stringify({ files }));
    await writeFile(join(out, 'notes.txt'), 'mine');
    await json('download', name, '--out', out, '--overwrite');
    expect(await readFile(join(out, 'notes.txt'), 'utf8')).toBe('mine');
    expect(await readFile(join(out, 'adapter_model.safetensors'))).toEqual(
      Buffer.from(fakeAdapter),
    );
    expect((await readdir(folder)).filter((entry) => entry.startsWith('.two'))).toEqual([]);
  });

  it('downloads through a link, which stays', async () => {
    const name = deployment.service.addJob();
    finishJob(deployment.service, name);
    await symlink(join('disk', 'adapter'), join(folder, 'link'));
    await json('download', name, '--out', `${join(folder, 'link')}/`);
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
    expect(await readdir(join(folder, 'disk', 'adapter'))).toContain('adapter_model.safetensors');
  });

  it('plans on the deployment', async () => {
    deployment.service.plan = {
      fits: true,
      budgetBytes: 2n ** 30n,
      neededBytes: 1n,
      stages: [{ stage: 3, seconds: 1, peakDeviceBytes: 1n }],
    };
    expect(await json('plan', '--model', '/m', '--data', data)).toEqual([
      {
        fits: true,
        budgetBytes: 2 ** 30,
        neededBytes: 1,
        stages: [{ name: 'train', seconds: 1, peakDeviceBytes: 1 }],
        methodChoice: null,
      },
    ]);
    expect((await jobs(['plan', '--model', '/m', '--data', data])).stdout).toMatch(
      /train +1\.0 s[\s\S]*fits into/,
    );
  });

  it('reads the token from a file or the environment, and shows it nowhere', async () => {
    const file = join(folder, 'token');
    await writeFile(file, `${token}\n`);
    expect((await jobs(['list', '--token-file', file], { EMLOC_TOKEN: '' })).code).toBe(0);
    const wrong = await jobs(['list'], { EMLOC_TOKEN: 'wrong-secret' });
    expect(wrong).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('UNAUTHENTICATED'),
    });
    expect(wrong.stderr).not.toContain('wrong-secret');
  });

  it('speaks TLS, and shows its certificate where the server asks for one', async () => {
    const certificate = (file: string): string => join(root, 'libs/rpc/test/certificates', file);
    const [ca, cert, key] = await Promise.all(
      ['authority.pem', 'localhost.pem', 'localhost.key'].map((file) =>
        readFile(certificate(file)),
      ),
    );
    await deployment.close();
    deployment = await startFakeDeployment({
      token,
      requireClientCertificate: true,
      tls: { ca: ca as Buffer, identity: { certificate: cert as Buffer, key: key as Buffer } },
    });
    const flags = [
      '--tls-ca',
      certificate('authority.pem'),
      '--tls-cert',
      certificate('coordinator.pem'),
      '--tls-key',
      certificate('coordinator.key'),
    ];
    expect(await json('list', ...flags)).toEqual([{ jobs: [] }]);
    expect(await jobs(['list', ...flags.slice(0, 2)])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('UNAVAILABLE'),
    });
  });

  const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['a missing flag', ['create', '--model', '/m'], 2, /--data/],
    ['a missing job', ['watch'], 2, /missing required argument 'job'/],
    [
      'an output that is there before anything is sent',
      ['create', '--model', '/m', '--data', 'data.jsonl', '--download', '.'],
      1,
      /SDK_OUTPUT_EXISTS/,
    ],
    [
      'a dtype that is none',
      ['create', '--model', '/m', '--data', 'data.jsonl', '--merge', 'int8'],
      2,
      /int8/,
    ],
    [
      'a value out of range before anything is sent',
      ['create', '--model', '/m', '--data', 'data.jsonl', '--rank', '0'],
      2,
      /option rank \(--rank\): 0 given/,
    ],
    [
      'a file that is not there',
      ['create', '--model', '/m', '--data', 'none.jsonl'],
      1,
      /DATASET_UNREADABLE.*none\.jsonl/,
    ],
    [
      'flags of this machine',
      ['create', '--model', '/m', '--data', 'data.jsonl', '--device', 'cpu'],
      2,
      /unknown option '--device'/,
    ],
    [
      'a token in the clear',
      ['list', '--server', 'example.org:7070'],
      2,
      /SDK_OPTION_INVALID.*TLS/,
    ],
    ['a certificate that is not there', ['list', '--tls-ca', 'none.pem'], 2, /--tls-ca none\.pem/],
    ['an unknown job', ['get', 'j9'], 1, /^error: NOT_FOUND: no jobs\/j9 \(RECORD_NOT_FOUND\)\n$/],
  ];

  it('refuses what cannot be, and sends nothing', async () => {
    const runs = await Promise.all(
      refusals.map(async ([name, args, code, message]) => ({
        name,
        code,
        message,
        run: await jobs(args),
      })),
    );
    for (const { name, code, message, run } of runs) {
      expect({ name, code: run.code, stdout: run.stdout }).toEqual({ name, code, stdout: '' });
      expect(run.stderr).toMatch(message);
    }
    expect(Object.keys(deployment.service.counts)).toEqual(['getJob']);
  });

  it('explains every command with an example', async () => {
    const names = [
      'create',
      'list',
      'get',
      'watch',
      'cancel',
      'artifacts',
      'download',
      'plan',
      'upload',
    ];
    const runs = await Promise.all(
      names.map(async (name) => ({ name, ...(await jobs([name, '--help'])) })),
    );
    for (const { name, code, stdout } of runs)
      expect([code, stdout]).toEqual([
        0,
        expect.stringContaining(`Example:\n  emloc jobs ${name}`),
      ]);
  });
});
