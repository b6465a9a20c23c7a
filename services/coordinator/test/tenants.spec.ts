import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { streamSource } from '@emloc/nats';
import { hashToken, type RpcError } from '@emloc/rpc';
import { FakeClock, until } from '@emloc/time/testing';

import {
  eventsOf,
  jobRequest,
  startDeployment,
  type Deployment,
  type RunningCoordinator,
} from './deployment.js';
import { stepEvent, untilEnded } from './fake-stages.js';

let deployment: Deployment;
let coordinator: RunningCoordinator;
let tokensFile: string;
/** By which the coordinator looks at tokens again. */
const clock = new FakeClock();

const tokenOf = (tenant: string) => `token-of-${tenant}`;
function writeTokens(entries: readonly { tenant: string; expiresAt?: string }[]): void {
  writeFileSync(
    tokensFile,
    entries
      .map((entry) => JSON.stringify({ ...entry, sha256: hashToken(tokenOf(entry.tenant)) }))
      .join('\n'),
  );
}
const tenants = ['good', 'hostile', 'confined', 'leaving'].map((tenant) => ({ tenant }));
const as = (tenant: string) => coordinator.as(tokenOf(tenant));

beforeAll(async () => {
  deployment = await startDeployment();
  tokensFile = join(deployment.folder, 'tokens.json');
  writeTokens(tenants);
  const own = join(deployment.folder, 'own-models');
  mkdirSync(own);
  cpSync(deployment.model, join(own, 'tiny'), { recursive: true });
  writeFileSync(
    join(deployment.folder, 'roots.json'),
    JSON.stringify({ confined: { modelRoots: [own] } }),
  );
  coordinator = await deployment.start(
    {
      'tokens-file': tokensFile,
      'tenant-roots': join(deployment.folder, 'roots.json'),
      'upload-idle': '300ms',
      'max-uploads': '2',
      'max-calls': '50',
    },
    clock,
  );
});
afterAll(() => deployment.close());

function refusal(call: Promise<unknown>): Promise<RpcError> {
  return call.then(
    () => {
      throw new Error('it was accepted');
    },
    (error: RpcError) => error,
  );
}

const rows = Buffer.from('{"prompt": "a", "completion": "b"}\n'.repeat(40));

/** An upload of which a part is sent and then nothing any more. */
async function* heldUpload(data = rows) {
  const sha256 = createHash('sha256').update(data).digest('hex');
  const value = { displayName: 'rows', sizeBytes: BigInt(data.length), sha256 };
  yield { content: { case: 'upload' as const, value } };
  yield { content: { case: 'data' as const, value: data.subarray(0, 8) } };
  await new Promise(() => undefined);
}

async function readAll(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _part of stream);
}

describe('uploads', () => {
  test('one that stands still is ended', async () => {
    expect(await refusal(as('good').uploadDataset(heldUpload()))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'UPLOAD_IDLE',
    });
  });

  test('of one tenant only so many go on, and those of others do', async () => {
    const held = Array.from({ length: 8 }, () =>
      refusal(as('hostile').uploadDataset(heldUpload())),
    );
    async function* small() {
      const sha256 = createHash('sha256').update(rows).digest('hex');
      const value = { displayName: 'rows', sizeBytes: BigInt(rows.length), sha256 };
      yield { content: { case: 'upload' as const, value } };
      yield { content: { case: 'data' as const, value: rows } };
    }
    await as('good').uploadDataset(small());
    const reasons = (await Promise.all(held)).map(({ reason }) => reason).sort();
    expect(reasons.filter((reason) => reason === 'UPLOAD_IDLE')).toHaveLength(2);
    expect(reasons.filter((reason) => reason === 'TOO_MANY_UPLOADS')).toHaveLength(6);
  });
});

test('a tenant with roots of its own can use no others', async () => {
  const own = join(deployment.folder, 'own-models', 'tiny');
  const jobs = as('confined');
  await jobs.createJob(jobRequest(deployment, { model: own }));
  expect(await refusal(jobs.createJob(jobRequest(deployment)))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    fieldViolations: [{ field: 'job.options.model' }],
  });
  expect(await refusal(as('good').createJob(jobRequest(deployment, { model: own })))).toMatchObject(
    { code: 'INVALID_ARGUMENT' },
  );
});

test('an artifact that was replaced is not served', async () => {
  const jobs = as('good');
  const { name } = await jobs.createJob(jobRequest(deployment));
  await eventsOf(jobs, name);
  const artifact = `${name}/artifacts/emloc.json`;
  await readAll(jobs.downloadArtifact({ name: artifact }));
  const key = `${name.replace('jobs/', '')}/emloc.json`;
  async function* other() {
    yield Buffer.from('emloc-json\n');
  }
  await coordinator.storage.artifacts.put(key, streamSource(other()));
  for (const offsetBytes of [0n, 5n])
    expect(
      await refusal(readAll(jobs.downloadArtifact({ name: artifact, offsetBytes }))),
    ).toMatchObject({ code: 'DATA_LOSS', reason: 'ARTIFACT_CHANGED' });
});

describe('a token', () => {
  /** Opens the stream of a job that goes on for ever. @returns how the stream ends */
  async function watchEndlessJob(): Promise<{ readonly ended: Promise<RpcError> }> {
    deployment.stages.scripts.train = async function* ({ signal }) {
      yield stepEvent(1);
      await untilEnded(signal);
    };
    const { name } = await as('leaving').createJob(jobRequest(deployment));
    const events = as('leaving').watchJob({ name })[Symbol.asyncIterator]();
    await events.next();
    const rest = { [Symbol.asyncIterator]: () => events };
    return { ended: refusal(readAll(rest)) };
  }
  afterEach(async () => {
    writeTokens(tenants);
    delete deployment.stages.scripts.train;
    await until(async () => {
      await clock.advance(1000);
      const { jobs = [] } = await as('leaving')
        .listJobs({})
        .catch(() => ({ jobs: [] }));
      for (const { name } of jobs) await as('leaving').cancelJob({ name });
      return jobs.length > 0;
    }, 'the token');
  });

  test.each([
    ['is revoked', () => tenants.filter(({ tenant }) => tenant !== 'leaving'), 'TOKEN_INVALID'],
    [
      'expires',
      () =>
        tenants.map((entry) => ({
          ...entry,
          expiresAt: new Date(
            Date.now() + (entry.tenant === 'leaving' ? 1500 : 3_600_000),
          ).toISOString(),
        })),
      'TOKEN_EXPIRED',
    ],
  ])('that %s ends its streams within 5 seconds', async (_, entries, reason) => {
    const { ended } = await watchEndlessJob();
    writeTokens(entries());
    // The five seconds are the coordinator's own: reading the file may take the machine any time.
    await clock.advance(2500);
    await until(
      () =>
        as('leaving')
          .listJobs({})
          .then(
            () => false,
            () => true,
          ),
      'the token is good for nothing new',
    );
    await clock.advance(2500);
    expect(await ended).toMatchObject({ code: 'UNAUTHENTICATED', reason });
  });
});

test('a good tenant does not wait for a hostile one that does its worst', async () => {
  const { engine, address } = coordinator;
  const [inspect, plan] = [engine.inspect.bind(engine), engine.plan.bind(engine)];
  const isHostile = (targets: string | null): boolean => targets === 'hostile.*';
  const held = new Set<AbortSignal>();
  const forEver = async (signal: AbortSignal): Promise<never> => {
    held.add(signal);
    await once(signal, 'abort');
    held.delete(signal);
    throw signal.reason;
  };
  engine.inspect = (options, signal) =>
    isHostile(options.targets) ? forEver(signal) : inspect(options, signal);
  engine.plan = (options, signal) =>
    isHostile(options.targets) ? forEver(signal) : plan(options, signal);
  const ending = new AbortController();
  const call = { signal: ending.signal };
  const bad = as('hostile');
  const slow = () => jobRequest(deployment, { targets: 'hostile.*' });
  const many = (count: number, make: () => Promise<unknown>) =>
    Array.from({ length: count }, () => make().catch((error: unknown) => error));
  const attack = [
    ...many(20, () => bad.createJob(slow(), call)),
    ...many(10, () => bad.planJob({ options: slow().job.options }, call)),
    ...many(10, () => bad.uploadDataset(heldUpload(Buffer.alloc(2 ** 20)), call)),
    ...many(200, () => bad.listJobs({}, call)),
    ...many(50, () => coordinator.as('token-wrong').listJobs({}, call)),
  ];
  const [host, port] = address.split(':');
  const sockets = Array.from({ length: 200 }, () =>
    connectTcp(Number(port), host).on('error', () => undefined),
  );
  await until(() => held.size > 0, 'the attack has begun');
  const [atWork] = held;
  try {
    for (let round = 0; round < 5; round += 1) {
      await as('good').createJob(jobRequest(deployment));
      await as('good').planJob({ options: jobRequest(deployment).job.options });
    }
    // Nothing of the good tenant waited for that, which ends only below.
    expect(atWork?.aborted).toBe(false);
  } finally {
    ending.abort();
    for (const socket of sockets) socket.destroy();
    await Promise.all(attack);
    Object.assign(engine, { inspect, plan });
  }
  // Who has left blocks nobody: the hostile tenant itself is served again at once.
  await bad.createJob(jobRequest(deployment));
});
