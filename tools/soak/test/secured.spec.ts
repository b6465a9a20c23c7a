import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { get } from '@emloc/checked';
import {
  CalibratorService,
  CorrectorService,
  EmulatorBuilderService,
  healthV1,
  JobService,
  reflectionV1,
  reflectionV1Alpha,
  TrainerService,
} from '@emloc/contracts';
import { inboxPrefixOf } from '@emloc/deployment';
import { dist, root } from '@emloc/deployment/testing';
import { openJobStorage } from '@emloc/job-storage';
import { serviceNames, stageNames, type StageName } from '@emloc/local-deployment';
import { connectNats, openLane } from '@emloc/nats';
import { livenessService, RpcError, type RpcChannel, type TlsOptions } from '@emloc/rpc';
import { EmlocError, type CreateJobOptions, type Job, type JobEvent } from '@emloc/sdk';

import { digestsOf, modelPath, tuneReference } from '../src/reference.js';
import {
  metricsToken,
  startSecuredDeployment,
  type SecuredDeployment,
} from './secured/deployment.js';
import { marker } from './secured/marker.js';
import { markedRows } from './secured/rows.js';

type JobOptions = CreateJobOptions['options'];

const { HealthCheckResponse_ServingStatus: ServingStatus } = healthV1;
const unknownJob = 'jobs/0000000000000000000000000000000000000000';

let deployment: SecuredDeployment;
let reference: ReadonlyMap<string, string>;
/** Of the files as they are on disk; jobs get the same rows uploaded. */
let files: { readonly data: string; readonly validation: string; readonly broken: string };
let uploaded: JobOptions;
/** What clients were told: jobs, events and errors. */
const told: unknown[] = [];
const rows = markedRows(readFileSync(join(root, 'examples/data/train.jsonl'), 'utf8').split('\n'));

beforeAll(async () => {
  deployment = await startSecuredDeployment();
  const { folder } = deployment.nats;
  files = {
    data: join(folder, `${rows.fileName}.jsonl`),
    validation: join(folder, 'validation.jsonl'),
    broken: join(folder, 'broken.jsonl'),
  };
  for (const name of ['data', 'validation', 'broken'] as const)
    writeFileSync(files[name], rows[name]);
  const options = {
    model: join(root, modelPath),
    vramBytes: 64 * 2 ** 20,
    steps: 120,
    batch: 2,
    calibrationRows: 4,
    maxLength: 96,
    refineSteps: 4,
    seed: 7,
  };
  reference = await tuneReference(
    { root, dist, work: folder },
    { ...options, data: files.data, validation: files.validation },
  );
  const client = deployment.client(deployment.tokens.first);
  const [data, validation] = [
    await client.uploadDataset(files.data),
    await client.uploadDataset(files.validation),
  ];
  uploaded = { ...options, data: { dataset: data.name }, validation: { dataset: validation.name } };
});

afterAll(() => deployment?.stop(), 240_000);

/** Runs a job to its end, and compares its files with those of `emloc tune`. */
async function runJob(onEvent: (event: JobEvent) => void = () => undefined): Promise<Job> {
  const client = deployment.client(deployment.tokens.first);
  const { name } = await client.createJob({ options: uploaded });
  const job = await client.waitForJob(name, {
    onEvent: (event) => {
      told.push(event);
      onEvent(event);
    },
  });
  told.push(job);
  const folder = join(deployment.nats.folder, 'results', basename(name));
  await client.downloadJob(name, folder);
  expect(await digestsOf(folder)).toEqual(reference);
  return job;
}

/** What a call threw, noted as told to a client. */
async function thrownBy(
  call: () => Promise<unknown>,
): Promise<Pick<EmlocError, 'code' | 'reason' | 'message'>> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof EmlocError) && !(error instanceof RpcError)) throw error;
    const { code, reason, message, fieldViolations, cause } = error;
    told.push(
      { code, reason, message, fieldViolations },
      cause instanceof RpcError ? { ...cause, message: cause.message } : String(cause),
    );
    return { code, reason, message };
  }
  throw new Error('nothing was thrown');
}

async function readAll(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const item of stream) told.push(item);
}

let succeeded: Job;

test('a job over TLS with a token gives the files of emloc tune, and goes on after a trainer that, told to stop while it trains, drops its readiness and ends with 0', async () => {
  const trainer = deployment.service('trainer');
  const health = deployment
    .channel('trainer', deployment.nats.authority.client('operator'))
    .client(healthV1.Health);
  const [seen, live, pages] = [[] as number[], [] as number[], new Set<number>()];
  const follow = async (service: string, into: number[]): Promise<void> => {
    try {
      for await (const { status } of health.watch({ service })) into.push(status);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
    }
  };
  const watching = Promise.all([follow('', seen), follow(livenessService, live)]);
  let hasEnded = false;
  const ended = trainer.ended.finally(() => {
    hasEnded = true;
  });
  const probing = async (): Promise<void> => {
    while (!hasEnded)
      pages.add(
        await deployment.page('trainer', '/readyz').then(
          ({ status }) => status,
          () => 0,
        ),
      );
  };
  let asked = false;
  const train: Extract<JobEvent, { type: 'stage' }>[] = [];
  const isFinished = (): boolean => train.some(({ state }) => state === 'finished');
  const running = runJob((event) => {
    if (event.type === 'stage' && event.stage === 'train') train.push(event);
    if (asked || event.type !== 'step' || event.stage !== 'train' || event.step < 2) return;
    asked = true;
    void probing();
    trainer.child.kill('SIGTERM');
  });
  expect(await Promise.race([ended, running.then(() => 'the job was over before')])).toBe(0);
  // So many steps are left after the second that the attempt cannot be over by now.
  expect(isFinished()).toBe(false);
  await watching;
  expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  expect(live).toEqual([ServingStatus.SERVING]);
  expect([...pages]).toContain(503);
  await deployment.startAgain('trainer');
  succeeded = await running;
  expect(
    train.some(({ state, attempt }) => state === 'started' && attempt >= 2) && isFinished(),
  ).toBe(true);
  expect(succeeded.report?.refinement?.steps).toBe(4);
});

describe('stage services', () => {
  const calls: Readonly<Record<StageName, (channel: RpcChannel) => AsyncIterable<unknown>>> = {
    calibrator: (channel) => channel.client(CalibratorService).calibrate({}),
    'emulator-builder': (channel) => channel.client(EmulatorBuilderService).buildEmulator({}),
    trainer: (channel) => channel.client(TrainerService).train({}),
    corrector: (channel) => channel.client(CorrectorService).correct({}),
  };

  test.each(stageNames)('%s lets the coordinator call and nobody else', async (name) => {
    const {
      nats: { authority },
      strangers,
      tokens,
    } = deployment;
    const as = (tls: TlsOptions, token: string | null = null) =>
      thrownBy(() => readAll(calls[name](deployment.channel(name, tls, token))));
    // The coordinator gets as far as the request, which is empty.
    expect(await as(authority.client('coordinator'))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const other of ['operator', name])
      expect(await as(authority.client(other), tokens.first)).toMatchObject({
        code: 'PERMISSION_DENIED',
        reason: 'CERTIFICATE_NOT_ALLOWED',
      });
    expect(await as(authority.client(null), tokens.first)).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await as(strangers.client('coordinator', authority.file))).toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});

describe('the job service', () => {
  test('refuses who has no token, a wrong one, one that has expired, or a certificate in its place', async () => {
    const reasons = async (token: string | null) =>
      thrownBy(() => deployment.client(token).getJob(succeeded.name));
    expect(await reasons(null)).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' });
    expect(await reasons(marker('token-wrong'))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'TOKEN_INVALID',
    });
    expect(await reasons(deployment.tokens.expired)).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'TOKEN_EXPIRED',
    });
    const certified = deployment
      .channel('coordinator', deployment.nats.authority.client('coordinator'))
      .client(JobService);
    expect(await thrownBy(() => certified.getJob({ name: succeeded.name }))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'TOKEN_MISSING',
    });
  });

  test("answers a tenant about another's jobs, artifacts and data as about those that are not there", async () => {
    const [first, second] = [
      deployment.client(deployment.tokens.first),
      deployment.client(deployment.tokens.second),
    ];
    const artifacts = [];
    for await (const artifact of first.listArtifacts(succeeded.name)) artifacts.push(artifact);
    const [artifact] = artifacts;
    if (!artifact) throw new Error('the job has no artifacts');
    const calls: ((job: string) => Promise<unknown>)[] = [
      (job) => second.getJob(job),
      (job) => second.cancelJob(job),
      (job) => second.deleteJob(job),
      (job) => readAll(second.watchJob(job)),
      (job) => readAll(second.listArtifacts(job)),
      (job) =>
        readAll(
          second.readArtifact({ ...artifact, name: artifact.name.replace(succeeded.name, job) }),
        ),
    ];
    for (const call of calls) {
      const [foreign, missing] = [
        await thrownBy(() => call(succeeded.name)),
        await thrownBy(() => call(unknownJob)),
      ];
      expect(foreign.code).toBe('NOT_FOUND');
      expect({
        ...foreign,
        message: foreign.message.replaceAll(succeeded.name, unknownJob),
      }).toEqual(missing);
    }
    expect(await second.listJobsPage()).toEqual({ jobs: [], nextPageToken: null });
    expect((await thrownBy(() => second.createJob({ options: uploaded }))).code).toBe(
      (
        await thrownBy(() =>
          second.createJob({
            options: { ...uploaded, data: { dataset: 'datasets/unknown' }, validation: null },
          }),
        )
      ).code,
    );
    expect((await first.getJob(succeeded.name)).state).toBe('succeeded');
  });
});

test.each(stageNames)(
  'the user of %s at NATS can neither write, delete nor read jobs and their events, nor hear what others are answered',
  async (name) => {
    const {
      nats: { server, users, authority },
    } = deployment;
    const { identity, ca } = authority.client(name);
    const { user = '', password = '' } = users.get(name) ?? {};
    const nats = await connectNats({
      servers: [server.url],
      auth: { kind: 'password', user, password },
      inboxPrefix: inboxPrefixOf(name),
      tls: {
        ca: ca?.toString('utf8'),
        cert: identity?.certificate.toString('utf8'),
        key: identity?.key.toString('utf8'),
      },
    });
    const job = basename(succeeded.name);
    const streams = ['KV_emloc-jobs', 'NUMBERED_jobs'];
    const forbidden = [
      `$KV.emloc-jobs.first.${job}`,
      `emloc.numbered.jobs.${job}`,
      ...['DELETE', 'PURGE', 'UPDATE', 'MSG.DELETE', 'MSG.GET'].flatMap((call) =>
        streams.map((stream) => `$JS.API.STREAM.${call}.${stream}`),
      ),
      ...streams.flatMap((stream) =>
        ['', '.workers', '.workers.$KV.emloc-jobs.>'].map(
          (consumer) => `$JS.API.CONSUMER.CREATE.${stream}${consumer}`,
        ),
      ),
      `$JS.API.DIRECT.GET.KV_emloc-jobs.$KV.emloc-jobs.first.${job}`,
      '$KV.emloc-specs.spec',
      '$KV.emloc-coordinator-lease.lease',
    ];
    const answers: string[] = [];
    for (const subject of ['$JS.API.INFO', ...forbidden])
      answers.push(
        await nats.request(subject, '', { timeout: 2000 }).then(
          () => 'answered',
          (error: Error) => error.message,
        ),
      );
    const overheard = await Promise.all(
      [
        '_INBOX.>',
        ...serviceNames
          .filter((other) => other !== name)
          .map((other) => `${inboxPrefixOf(other)}.>`),
      ].map(
        (subject) =>
          new Promise((resolve) => {
            nats.subscribe(subject, {
              callback: (error, message) => resolve(error?.message ?? message.subject),
            });
          }),
      ),
    );
    await nats.close();
    expect(overheard).toEqual(
      overheard.map(() => expect.stringMatching(/permissions violation/i) as unknown),
    );
    expect(answers).toEqual([
      'answered',
      ...forbidden.map(() => expect.stringMatching(/permissions violation/i) as unknown),
    ]);
  },
);

test('the user of the coordinator at NATS may find out what is old in every bucket', async () => {
  const { server, users, authority } = deployment.nats;
  const { identity, ca } = authority.client('coordinator');
  const { password } = get(users, 'coordinator');
  const access = {
    servers: [server.url],
    auth: { kind: 'password' as const, user: 'coordinator', password },
    inboxPrefix: inboxPrefixOf('coordinator'),
    tls: {
      ca: ca?.toString('utf8'),
      cert: identity?.certificate.toString('utf8'),
      key: identity?.key.toString('utf8'),
    },
  };
  const [nats, lane] = [await connectNats(access), await openLane(access)];
  try {
    const storage = await openJobStorage({ nats, lane });
    const { datasets, artifacts, tensorBucket } = storage;
    expect((await datasets.list()).length).toBeGreaterThan(0);
    for (const bucket of [datasets, artifacts, tensorBucket])
      expect(await bucket.sweepOrphans()).toBe(0);
  } finally {
    lane.close();
    await nats.close();
  }
});

describe('operations', () => {
  const fullNames = {
    coordinator: JobService,
    calibrator: CalibratorService,
    'emulator-builder': EmulatorBuilderService,
    trainer: TrainerService,
    corrector: CorrectorService,
  } as const;

  test.each(serviceNames)(
    '%s tells its health and describes itself to whoever its TLS lets in',
    async (name) => {
      const channel = deployment.channel(name, deployment.nats.authority.client('operator'));
      const health = channel.client(healthV1.Health);
      for (const service of ['', fullNames[name].typeName, livenessService]) {
        expect(await health.check({ service })).toMatchObject({ status: ServingStatus.SERVING });
        for await (const { status } of health.watch({ service })) {
          expect(status).toBe(ServingStatus.SERVING);
          break;
        }
      }
      for (const { ServerReflection } of [
        reflectionV1,
        reflectionV1Alpha as unknown as typeof reflectionV1,
      ]) {
        const answers = channel.client(ServerReflection).serverReflectionInfo(
          (async function* () {
            yield { messageRequest: { case: 'listServices' as const, value: '' } };
          })(),
        );
        for await (const { messageResponse } of answers) {
          expect(
            messageResponse.case === 'listServicesResponse' &&
              messageResponse.value.service.map((one) => one.name),
          ).toEqual(expect.arrayContaining(['grpc.health.v1.Health', fullNames[name].typeName]));
        }
      }
      for (const path of ['/livez', '/readyz', '/healthz'])
        expect([path, (await deployment.page(name, path)).status]).toEqual([path, 200]);
      expect((await deployment.page(name, '/metrics')).status).toBe(401);
      const metrics = (await deployment.page(name, '/metrics', metricsToken)).body;
      expect(metrics).toContain('emloc_build_info');
      expect(metrics).toMatch(/^emloc_ready\{[^}]*\} 1$/m);
    },
  );
});

test('nothing of rows, tokens, passwords and keys is in output, metrics, events or errors', async () => {
  const client = deployment.client(deployment.tokens.first);
  const failing = await client.createJob({ options: { ...uploaded, vramBytes: 2 ** 20 } });
  expect(
    await thrownBy(() => client.waitForJob(failing.name, { onEvent: (event) => told.push(event) })),
  ).toMatchObject({ code: 'SDK_JOB_FAILED', message: expect.stringContaining('stage calibrate') });
  told.push(await client.getJob(failing.name));
  const broken = await client.uploadDataset(files.broken);
  expect(
    await thrownBy(() =>
      client.createJob({ options: { ...uploaded, data: { dataset: broken.name } } }),
    ),
  ).toMatchObject({ code: 'INVALID_ARGUMENT' });
  const pages = await Promise.all(
    serviceNames.map(async (name) => ({
      name,
      text: (await deployment.page(name, '/metrics', metricsToken)).body,
    })),
  );
  const outputs = deployment.processes().map(({ name, output }) => ({ name, text: output() }));
  const texts = [
    ...pages,
    ...outputs,
    { name: 'nats-server', text: readFileSync(deployment.nats.server.logFile, 'utf8') },
    {
      name: 'clients',
      text: JSON.stringify(told, (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      ),
    },
  ];
  // Every place has something in which a marker would be found.
  expect(outputs.every(({ text }) => text.includes('"level":"debug"'))).toBe(true);
  expect(texts.filter(({ text }) => text.length < 100)).toEqual([]);
  const keys = ['nats-server', 'operator', ...serviceNames].map(
    (name) => readFileSync(deployment.nats.authority.issue(name).key, 'utf8').split('\n')[1] ?? '',
  );
  const secrets = [
    ...rows.markers,
    ...Object.values(deployment.tokens),
    ...[...deployment.nats.users.values()].map(({ password }) => password),
    metricsToken,
    ...keys,
  ];
  expect(secrets.every((secret) => secret.length > 20)).toBe(true);
  expect(
    texts.flatMap(({ name, text }) =>
      secrets.filter((secret) => text.includes(secret)).map((secret) => `${secret} in ${name}`),
    ),
  ).toEqual([]);
});
