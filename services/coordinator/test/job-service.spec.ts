import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  Artifact_Kind,
  Job_State,
  JobSpecSchema,
  Method,
  Schedule,
  type UploadDatasetRequestSchema,
} from '@emloc/contracts';
import { scanRows } from '@emloc/dataset';
import { defaultTuneOptions } from '@emloc/pipeline';
import { hashToken, type RpcError } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import { findDataset } from '../src/datasets.js';
import { createDatasetFiles } from '../src/outcome/dataset-files.js';
import {
  describeEvent,
  eventsOf,
  jobRequest,
  startDeployment,
  type Deployment,
  type RunningCoordinator,
} from './deployment.js';
import { adapterBytes, fakeChoice } from './fake-engine.js';
import { stepEvent, untilEnded } from './fake-stages.js';

let deployment: Deployment;
let coordinator: RunningCoordinator;
beforeAll(async () => {
  deployment = await startDeployment();
  process.env['HF_HUB_CACHE'] = join(deployment.folder, 'hub');
  writeFileSync(join(deployment.folder, 'tokens.json'), tokensText());
  coordinator = await deployment.start({
    'tokens-file': join(deployment.folder, 'tokens.json'),
    'max-dataset-bytes': '4MiB',
    'max-queued-jobs': '6',
    'max-steps': '1000',
  });
});
afterAll(async () => {
  delete process.env['HF_HUB_CACHE'];
  await deployment.close();
});

function tokensText(): string {
  const tokens = ['alice', 'bob', 'carol', 'dave/..', 'erin', 'frank', 'grace'].map((tenant) => ({
    tenant,
    sha256: hashToken(`token of ${tenant}`.replaceAll(' ', '-')),
  }));
  return JSON.stringify([
    ...tokens,
    { tenant: 'late', sha256: hashToken('token-of-late'), expiresAt: '2020-01-01T00:00:00Z' },
  ]);
}

const as = (tenant: string) => coordinator.as(`token-of-${tenant}`);

async function refusal(call: Promise<unknown>): Promise<RpcError> {
  return call.then(
    () => {
      throw new Error('it was accepted');
    },
    (error: RpcError) => error,
  );
}

async function* uploadOf(
  data: Buffer,
  {
    size = data.length,
    sha256 = createHash('sha256').update(data).digest('hex'),
    pieceBytes = 1024 * 1024,
  } = {},
): AsyncGenerator<MessageInitShape<typeof UploadDatasetRequestSchema>> {
  yield {
    content: { case: 'upload', value: { displayName: 'rows', sizeBytes: BigInt(size), sha256 } },
  };
  for (let at = 0; at < data.length; at += pieceBytes)
    yield { content: { case: 'data', value: data.subarray(at, at + pieceBytes) } };
}

describe('creating a job', () => {
  test('the same request gives the same job, with other contents it is refused', async () => {
    const jobs = as('alice');
    const request = jobRequest(deployment);
    const made = await Promise.all([
      jobs.createJob(request),
      jobs.createJob(request),
      jobs.createJob({ ...request, job: { ...request.job, state: Job_State.FAILED } }),
    ]);
    expect(new Set(made.map(({ name }) => name)).size).toBe(1);
    expect(
      await refusal(jobs.createJob({ ...request, job: { ...request.job, displayName: 'other' } })),
    ).toMatchObject({ code: 'ALREADY_EXISTS', reason: 'REQUEST_ID_REUSED' });
    expect((await as('bob').createJob(request)).name).not.toBe(made[0]?.name);
  });

  test('defaults are filled in and paths are real', async () => {
    symlinkSync(deployment.model, join(deployment.folder, 'models', 'link'));
    const { options } = await as('alice').createJob(
      jobRequest(deployment, {
        model: join(deployment.folder, 'models', 'link'),
        learningRate: 1e-3,
      }),
    );
    expect(options).toMatchObject({
      model: deployment.model,
      learningRate: 1e-3,
      rank: 8,
      batchRows: 8,
      schedule: Schedule.COSINE,
      seed: 0n,
    });
    expect([options?.vramBytes, options?.steps, options?.hostBytes]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('what is left to a plan is decided once, and told', async () => {
    const request = jobRequest(deployment, { method: Method.AUTO, epochs: 2 });
    const made = await as('alice').createJob(request);
    expect(made.options).toMatchObject({ method: Method.EMULATOR, levels: fakeChoice.levels });
    expect([made.options?.steps, made.options?.epochs]).toEqual([undefined, undefined]);
    expect(await as('alice').createJob(request)).toMatchObject({ name: made.name });
    const plan = await as('alice').planJob({ options: request.job.options });
    expect(plan.methodChoice).toEqual(fakeChoice);
    await as('alice').cancelJob({ name: made.name });
  });

  test('a job without a date has that of the day on which it was first asked for', async () => {
    const before = new Date().toISOString().slice(0, 10);
    const { options } = await as('alice').createJob(jobRequest(deployment));
    const after = new Date().toISOString().slice(0, 10);
    expect([before, after]).toContain(options?.date);
    const request = jobRequest(deployment);
    const id = createHash('sha256')
      .update(JSON.stringify(['alice', request.requestId]))
      .digest('hex')
      .slice(0, 24);
    await coordinator.storage.writeSpec(
      create(JobSpecSchema, {
        job: `jobs/${id}`,
        tenant: 'alice',
        options: options && { ...options, date: '2024-02-29' },
        createTime: timestampFromDate(new Date('2024-02-29T23:59:59Z')),
      }),
    );
    expect((await as('alice').createJob(request)).options?.date).toBe('2024-02-29');
  });

  test('a date that was asked for stays, and so does a template', async () => {
    const asked = { date: '0999-01-01', chatTemplate: '{{ bos_token }}', templateArgs: '{"a":1}' };
    const { options } = await as('alice').createJob(jobRequest(deployment, asked));
    expect(options).toMatchObject({ ...asked, strict: false, allowUnusedLayers: false });
  });

  test('every field that is wrong is named', async () => {
    const { code, fieldViolations } = await refusal(
      as('alice').createJob({
        requestId: 'no-uuid',
        job: { displayName: 'x'.repeat(64), merge: { dtype: 9 as never }, options: {} },
      }),
    );
    expect([code, fieldViolations.map(({ field }) => field).sort()]).toEqual([
      'INVALID_ARGUMENT',
      ['job.display_name', 'job.merge.dtype', 'request_id'],
    ]);
    const fieldsOf = async (options: Parameters<typeof jobRequest>[1]) =>
      (await refusal(as('alice').createJob(jobRequest(deployment, options)))).fieldViolations.map(
        ({ field }) => field,
      );
    expect(
      await fieldsOf({
        rank: 0,
        learningRate: -1,
        batchRows: 0,
        maxLengthTokens: 1,
        ratios: ['2'],
        correction: { choice: { case: 'lambda', value: 0 } },
      }),
    ).toEqual(
      expect.arrayContaining(
        ['rank', 'learning_rate', 'batch_rows', 'max_length_tokens', 'ratios', 'correction'].map(
          (field) => `job.options.${field}`,
        ),
      ),
    );
    expect(
      (
        await fieldsOf({
          targets: '(',
          warmupRatio: 1,
          schedule: 9 as never,
          steps: 1001,
          alpha: Number.POSITIVE_INFINITY,
          seed: -1n,
        })
      ).sort(),
    ).toEqual(
      ['alpha', 'schedule', 'seed', 'steps', 'targets', 'warmup_ratio'].map(
        (field) => `job.options.${field}`,
      ),
    );
    expect(
      await fieldsOf({
        date: '2023-02-29',
        chatTemplate: 'x'.repeat(2 ** 20 + 1),
        templateArgs: '{"tools": []}',
        baseName: '\n',
      }),
    ).toEqual(
      ['date', 'chat_template', 'template_args', 'base_name'].map(
        (field) => `job.options.${field}`,
      ),
    );
  });

  test('a hub name is a folder under a root, else a model of the hub cache at its commit', async () => {
    const commit = '0a'.repeat(20);
    const cached = join(deployment.folder, 'hub', 'models--owner--cached');
    mkdirSync(join(cached, 'snapshots', commit), { recursive: true });
    for (const name of ['config.json', 'model.safetensors'])
      writeFileSync(join(cached, 'snapshots', commit, name), '{}');
    mkdirSync(join(cached, 'refs'));
    writeFileSync(join(cached, 'refs', 'v1'), commit);
    const rooted = join(deployment.folder, 'models', 'owner', 'rooted');
    mkdirSync(rooted, { recursive: true });
    const named = async (model: string): Promise<string | undefined> =>
      (await as('grace').createJob(jobRequest(deployment, { model }))).options?.model;
    expect(await named('owner/rooted')).toBe(rooted);
    expect(await named('owner/cached@v1')).toBe(`owner/cached@${commit}`);
    for (const model of ['owner/none', 'owner/cached', 'owner/cached@../x', 'owner/rooted@v1']) {
      const { fieldViolations } = await refusal(
        as('grace').createJob(jobRequest(deployment, { model })),
      );
      const [{ field, description } = { field: '', description: '' }] = fieldViolations;
      expect([field, description]).toEqual(['job.options.model', expect.stringContaining(model)]);
      expect(description).not.toContain(deployment.folder);
    }
  });

  test('paths stay inside the roots, whatever links say', async () => {
    const outside = join(deployment.folder, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(deployment.folder, 'models', 'escape'));
    const wrong = [
      outside,
      join(deployment.folder, 'models', 'escape'),
      `${deployment.model}/../../outside`,
      '/etc',
      'models/tiny',
      '',
      `${deployment.model}\0`,
      '/no/such/folder',
    ];
    for (const model of wrong) {
      const { code, fieldViolations } = await refusal(
        as('alice').createJob(jobRequest(deployment, { model })),
      );
      expect([model, code, fieldViolations[0]?.field]).toEqual([
        model,
        'INVALID_ARGUMENT',
        'job.options.model',
      ]);
    }
    const missing = await refusal(
      as('alice').createJob(
        jobRequest(deployment, {
          data: { source: { case: 'path', value: join(deployment.folder, 'data', 'none') } },
        }),
      ),
    );
    expect(missing.fieldViolations).toEqual([
      { field: 'job.options.data', description: 'does not exist' },
    ]);
    expect(
      (
        await refusal(
          as('alice').createJob(
            jobRequest(deployment, {
              data: { source: { case: 'dataset', value: `datasets/${'a'.repeat(64)}` } },
            }),
          ),
        )
      ).fieldViolations[0]?.field,
    ).toBe('job.options.data.dataset');
  });

  test('an adapter to begin from lies inside the roots of models', async () => {
    const adapter = join(deployment.folder, 'models', 'earlier');
    mkdirSync(adapter);
    const outside = 'is not inside one of the folders of --model-roots';
    for (const [initAdapter, description] of [
      [deployment.data, outside],
      [`${adapter}/../../data`, outside],
      ['/etc', outside],
      [`${adapter}-of-none`, 'does not exist'],
      ['earlier', 'must be an absolute path of at most 4096 characters'],
      ['', 'is required'],
    ])
      expect(
        (await refusal(as('alice').createJob(jobRequest(deployment, { initAdapter }))))
          .fieldViolations,
      ).toEqual([{ field: 'job.options.init_adapter', description }]);
    const link = join(deployment.folder, 'models', 'latest');
    symlinkSync(adapter, link);
    const { options } = await as('alice').createJob(jobRequest(deployment, { initAdapter: link }));
    expect(options?.initAdapter).toBe(adapter);
  });

  test('models that make pictures take folders inside the roots, and uploads that are there', async () => {
    const model = join(deployment.folder, 'models', 'painter');
    const photos = join(deployment.folder, 'data', 'photos');
    for (const folder of [model, photos]) mkdirSync(folder);
    writeFileSync(join(model, 'model_index.json'), '{}');
    const inFolder = (value: string) => ({ source: { case: 'path', value } as const });
    const uploaded = { source: { case: 'dataset', value: `datasets/${'a'.repeat(64)}` } } as const;
    const violationsOf = async (options: Parameters<typeof jobRequest>[1]) =>
      (await refusal(as('alice').createJob(jobRequest(deployment, options)))).fieldViolations;
    expect(
      await violationsOf({ model, data: uploaded, validation: uploaded, classData: uploaded }),
    ).toEqual(
      ['data', 'validation', 'class_data'].map((name) => ({
        field: `job.options.${name}.dataset`,
        description: `"datasets/${'a'.repeat(64)}" was not found`,
      })),
    );
    expect(
      await violationsOf({ model, data: inFolder(photos), classData: inFolder('/etc') }),
    ).toEqual([
      {
        field: 'job.options.class_data',
        description: 'is not inside one of the folders of --data-roots',
      },
    ]);
    expect(await violationsOf({ data: inFolder(photos) })).toEqual([
      { field: 'job.options.data', description: 'is no file' },
    ]);
    expect(
      await violationsOf({ model, data: inFolder(photos), crop: 9 as never, priorWeight: -1 }),
    ).toMatchObject([{ field: 'job.options.crop' }, { field: 'job.options.prior_weight' }]);
    const { job } = jobRequest(deployment, {
      model,
      data: inFolder(photos),
      classData: inFolder(photos),
    });
    expect(await as('alice').planJob({ options: job.options })).toMatchObject({ fits: true });
  });

  test("a model that the engine refuses is the request's fault", async () => {
    coordinator.engine.failure = Object.assign(new Error('config.json: unknown architecture'), {
      code: 'MODEL_UNKNOWN_ARCHITECTURE',
    });
    const error = await refusal(as('alice').createJob(jobRequest(deployment)));
    coordinator.engine.failure = null;
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MODEL_UNKNOWN_ARCHITECTURE' });
  });

  test('rows that no job could use are refused by line, without their text', async () => {
    const jobs = as('alice');
    const { sha256 } = await jobs.uploadDataset(
      uploadOf(Buffer.from('{"prompt": "x", "completion": "y"}\n{"prompt": "secret"}\n')),
    );
    const error = await refusal(
      jobs.createJob(
        jobRequest(deployment, {
          data: { source: { case: 'dataset', value: `datasets/${sha256}` } },
        }),
      ),
    );
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [
        { field: 'job.options.data', description: 'line 2: completion is missing' },
      ],
    });
    expect(error.message).not.toContain('secret');
    const empty = join(deployment.folder, 'data', 'empty.jsonl');
    writeFileSync(empty, '\n');
    const { fieldViolations } = await refusal(
      jobs.createJob(
        jobRequest(deployment, { validation: { source: { case: 'path', value: empty } } }),
      ),
    );
    expect(fieldViolations).toEqual([
      { field: 'job.options.validation', description: 'has no rows' },
    ]);
    // 16 rows to train on, with a step each.
    expect(
      (await refusal(jobs.createJob(jobRequest(deployment, { epochs: 63, batchRows: 1 }))))
        .fieldViolations,
    ).toMatchObject([{ field: 'job.options.epochs' }]);
  });

  test('of large uploads the first part is looked at', async () => {
    const large = Buffer.alloc(3 * 2 ** 20, '{"prompt": "x", "completion": "y"}\n');
    const { name } = await as('frank').uploadDataset(uploadOf(large));
    const files = createDatasetFiles(coordinator.storage, deployment.folder, (model) =>
      Promise.resolve(model),
    );
    const data = await findDataset(
      coordinator.storage.datasets,
      'frank',
      name.slice('datasets/'.length),
    );
    const held = await files.open(
      {
        plain: { ...defaultTuneOptions, ratios: ['1'], model: '', data: { dataset: name } },
        ...(data ? { data } : {}),
      },
      { maxBytes: 1000 },
    );
    expect(readFileSync(held.options.data)).toEqual(
      large.subarray(0, statSync(held.options.data).size),
    );
    expect(statSync(held.options.data).size).toBeLessThan(large.length);
    expect(await scanRows({ path: held.options.data, maxBytes: 1000, maxMs: 60_000 })).toEqual({
      rows: 28,
      isWhole: false,
      problems: [],
    });
    await held.close();
  });
});

describe('tenants', () => {
  test('need a token that holds', async () => {
    expect(await refusal(coordinator.jobs.listJobs({}))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'TOKEN_MISSING',
    });
    expect(await refusal(as('nobody').listJobs({}))).toMatchObject({ reason: 'TOKEN_INVALID' });
    expect(await refusal(as('late').listJobs({}))).toMatchObject({ reason: 'TOKEN_EXPIRED' });
  });

  test('see nothing of each other', async () => {
    const { name } = await as('alice').createJob(jobRequest(deployment));
    const bob = as('bob');
    const calls = [
      bob.getJob({ name }),
      bob.cancelJob({ name }),
      bob.listArtifacts({ parent: name }),
      eventsOf(bob, name),
      (async () => {
        for await (const _part of bob.downloadArtifact({ name: `${name}/artifacts/emloc.json` }));
      })(),
    ];
    for (const call of calls) expect(await refusal(call)).toMatchObject({ code: 'NOT_FOUND' });
    expect((await bob.listJobs({})).jobs.map((job) => job.name)).not.toContain(name);
    const { sha256 } = await as('alice').uploadDataset(
      uploadOf(Buffer.from('{"prompt": "x", "completion": "y"}\n')),
    );
    expect(
      await refusal(
        bob.createJob(
          jobRequest(deployment, {
            data: { source: { case: 'dataset', value: `datasets/${sha256}` } },
          }),
        ),
      ),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a name with odd characters stays its own', async () => {
    const { name } = await as('dave/..').createJob(jobRequest(deployment));
    expect((await as('dave/..').listJobs({})).jobs.map((job) => job.name)).toEqual([name]);
  });

  test('tokens that are added later hold', async () => {
    writeFileSync(
      join(deployment.folder, 'tokens.json'),
      `${tokensText().slice(0, -1)},{"tenant":"grace","sha256":"${hashToken('token-of-grace')}"}]`,
    );
    await until(
      () =>
        as('grace')
          .listJobs({})
          .then(
            () => true,
            () => false,
          ),
      'the new token',
    );
  });
});

describe('lists', () => {
  test('are newest first, in pages that fit together, filtered', async () => {
    const jobs = as('carol');
    const names: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      const { name } = await jobs.createJob(jobRequest(deployment, {}));
      names.unshift(name);
      await eventsOf(jobs, name);
    }
    const first = await jobs.listJobs({ pageSize: 2 });
    const second = await jobs.listJobs({ pageSize: 2, pageToken: first.nextPageToken });
    const third = await jobs.listJobs({ pageSize: 2, pageToken: second.nextPageToken });
    expect([first, second, third].flatMap((page) => page.jobs.map(({ name }) => name))).toEqual(
      names,
    );
    expect(third.nextPageToken).toBe('');
    expect(
      (await jobs.listJobs({ filter: 'state = SUCCEEDED AND display_name = "a job"' })).jobs,
    ).toHaveLength(5);
    expect((await jobs.listJobs({ filter: 'state != SUCCEEDED' })).jobs).toEqual([]);
    for (const request of [
      { filter: 'state' },
      { pageToken: 'x' },
      { pageToken: first.nextPageToken, filter: 'state = QUEUED' },
      { pageSize: -1 },
    ]) {
      expect(await refusal(jobs.listJobs(request))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    const artifacts = await jobs.listArtifacts({ parent: names[0], pageSize: 3 });
    const rest = await jobs.listArtifacts({
      parent: names[0],
      pageSize: 3,
      pageToken: artifacts.nextPageToken,
    });
    expect(
      [...artifacts.artifacts, ...rest.artifacts].map(({ path, kind }) => [path, kind]),
    ).toEqual([
      ['adapter_config.json', Artifact_Kind.ADAPTER],
      ['adapter_model.safetensors', Artifact_Kind.ADAPTER],
      ['emloc.json', Artifact_Kind.REPORT],
      ['uncorrected/adapter_model.safetensors', Artifact_Kind.UNCORRECTED_ADAPTER],
    ]);
  });

  test('a tenant may have so many jobs waiting, and not more', async () => {
    // Jobs of tests before, which may be under way yet, go on to their ends.
    let hold: (name: string) => void = () => undefined;
    const held = new Promise<string>((resolve) => (hold = resolve));
    deployment.stages.scripts.train = async function* ({ signal, call }) {
      yield stepEvent(1);
      if ((await held).endsWith(call.job)) await untilEnded(signal);
    };
    const jobs = as('frank');
    const { name } = await jobs.createJob(jobRequest(deployment));
    hold(name);
    await until(async () => (await jobs.getJob({ name })).state === Job_State.RUNNING, 'running');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        jobs.createJob(jobRequest(deployment)).then(
          () => null,
          (error: RpcError) => error,
        ),
      ),
    );
    expect(answers.filter((error) => error === null)).toHaveLength(6);
    for (const error of answers)
      if (error)
        expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_QUEUED_JOBS' });
    delete deployment.stages.scripts.train;
    for (const job of (await jobs.listJobs({})).jobs) await jobs.cancelJob({ name: job.name });
  });
});

describe('files', () => {
  test('an artifact comes whole, and from any offset', async () => {
    const jobs = as('erin');
    const { name } = await jobs.createJob(jobRequest(deployment));
    await eventsOf(jobs, name);
    const artifact = `${name}/artifacts/adapter_model.safetensors`;
    for (const offset of [0, 1, 1024 * 1024, 2_400_000, adapterBytes.length]) {
      const parts: Buffer[] = [];
      for await (const { offsetBytes, data } of jobs.downloadArtifact({
        name: artifact,
        offsetBytes: BigInt(offset),
      })) {
        expect(Number(offsetBytes)).toBe(
          offset + parts.reduce((sum, { length }) => sum + length, 0),
        );
        expect(data.length).toBeLessThanOrEqual(1024 * 1024);
        parts.push(Buffer.from(data));
      }
      expect(Buffer.concat(parts).equals(adapterBytes.subarray(offset))).toBe(true);
    }
    const listed = (await jobs.listArtifacts({ parent: name })).artifacts.find(
      ({ path }) => path === 'adapter_model.safetensors',
    );
    expect(listed).toMatchObject({
      sizeBytes: BigInt(adapterBytes.length),
      sha256: createHash('sha256').update(adapterBytes).digest('hex'),
    });
    const read = async (request: { name: string; offsetBytes?: bigint }) => {
      for await (const _part of jobs.downloadArtifact(request));
    };
    expect(
      await refusal(read({ name: artifact, offsetBytes: BigInt(adapterBytes.length + 1) })),
    ).toMatchObject({ code: 'OUT_OF_RANGE' });
    expect(await refusal(read({ name: `${name}/artifacts/none` }))).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await refusal(read({ name: `${name}/artifacts/../x` }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('a reader that stops early leaves nothing behind', async () => {
    const jobs = as('erin');
    const [job] = (await jobs.listJobs({})).jobs;
    for await (const _part of jobs.downloadArtifact({
      name: `${job?.name ?? ''}/artifacts/adapter_model.safetensors`,
    }))
      break;
    expect((await jobs.listJobs({})).jobs).toHaveLength(1);
  });

  test('a data set is stored once, and a job can name it', async () => {
    const jobs = as('alice');
    const rows = Buffer.from('{"prompt": "q", "completion": "a"}\n'.repeat(70_000));
    const stored = await jobs.uploadDataset(uploadOf(rows));
    expect(stored).toMatchObject({
      displayName: 'rows',
      sizeBytes: BigInt(rows.length),
      name: `datasets/${stored.sha256}`,
    });
    expect((await jobs.uploadDataset(uploadOf(rows))).name).toBe(stored.name);
    const { name } = await jobs.createJob(
      jobRequest(deployment, {
        steps: 10,
        data: { source: { case: 'dataset', value: stored.name } },
      }),
    );
    expect((await eventsOf(jobs, name)).map(describeEvent).at(-1)).toBe('SUCCEEDED');
  });

  test('an upload that is not as announced is refused and not kept', async () => {
    const jobs = as('bob');
    const rows = Buffer.from('{"prompt": "x", "completion": "z"}\n');
    const before = (await coordinator.storage.datasets.list()).length;
    const wrong: [AsyncIterable<MessageInitShape<typeof UploadDatasetRequestSchema>>, string][] = [
      [uploadOf(rows, { size: rows.length + 1 }), 'INVALID_ARGUMENT'],
      [uploadOf(rows, { size: rows.length - 1 }), 'INVALID_ARGUMENT'],
      [uploadOf(rows, { sha256: 'a'.repeat(64) }), 'INVALID_ARGUMENT'],
      [uploadOf(rows, { sha256: 'A' }), 'INVALID_ARGUMENT'],
      [uploadOf(rows, { size: 5 * 2 ** 20 }), 'RESOURCE_EXHAUSTED'],
      [uploadOf(Buffer.alloc(3 * 2 ** 20), { pieceBytes: 2 * 2 ** 20 }), 'INVALID_ARGUMENT'],
      [
        (async function* () {
          yield { content: { case: 'data' as const, value: rows } };
        })(),
        'INVALID_ARGUMENT',
      ],
      [
        (async function* () {
          yield* [];
        })(),
        'INVALID_ARGUMENT',
      ],
    ];
    for (const [requests, code] of wrong)
      expect(await refusal(jobs.uploadDataset(requests))).toMatchObject({ code });
    expect((await coordinator.storage.datasets.list()).length).toBe(before);
  });

  test('a plan says what a job would take', async () => {
    const { job } = jobRequest(deployment);
    expect(await as('alice').planJob({ options: job.options })).toMatchObject({
      fits: true,
      neededBytes: 524288n,
      stages: [{ stage: 3, seconds: 1.5 }],
    });
    expect(await refusal(as('alice').planJob({}))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
