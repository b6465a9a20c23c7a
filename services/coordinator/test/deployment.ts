import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { at } from '@emloc/checked';
import { Job_State, JobService, type JobEvent, type TuneOptionsSchema } from '@emloc/contracts';
import { openJobStorage, type JobStorage } from '@emloc/job-storage';
import { connectNats, openLane, type Lane, type NatsConnection } from '@emloc/nats';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';
import {
  clientCredentials,
  RpcChannel,
  RpcServer,
  serverCredentials,
  type Callers,
  type CallOptions,
} from '@emloc/rpc';
import { compileOptions, createLogger, createShutdown, type Shutdown } from '@emloc/service';
import { createTelemetry, type Telemetry } from '@emloc/telemetry';
import { systemClock, type Clock } from '@emloc/time';

import { startCoordinator } from '../src/coordinator.js';
import { coordinatorOptions, serverLimits, type CoordinatorOptions } from '../src/options.js';
import { fakeEngine, type FakeEngine } from './fake-engine.js';
import { startFakeStages, type FakeStages } from './fake-stages.js';

type Jobs = Callers<typeof JobService, CallOptions>;

/** A coordinator in this process, and clients of it. */
export interface RunningCoordinator {
  readonly address: string;
  readonly jobs: Jobs;
  readonly engine: FakeEngine;
  readonly telemetry: Telemetry;
  readonly storage: JobStorage;
  /** A client that presents this token. */
  as(token: string | null): Jobs;
  stop(): Promise<void>;
  /** As a process that is killed, as far as NATS and clients can see. */
  kill(): Promise<void>;
}

/** A NATS server, fake stages, and folders of models and data, of a test file's own. */
export interface Deployment {
  readonly nats: NatsServer;
  readonly stages: FakeStages;
  readonly folder: string;
  readonly model: string;
  readonly data: string;
  /** @param clock by which tokens are looked at again */
  start(options?: Readonly<Record<string, string>>, clock?: Clock): Promise<RunningCoordinator>;
  close(): Promise<void>;
}

export async function startDeployment(): Promise<Deployment> {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-coordinator-'));
  const [model, data] = [join(folder, 'models', 'tiny'), join(folder, 'data', 'train.jsonl')];
  mkdirSync(model, { recursive: true });
  mkdirSync(join(folder, 'data'));
  writeFileSync(data, '{"prompt": "a", "completion": "b"}\n'.repeat(32));
  const nats = await startNatsServer({ storeDir: join(folder, 'nats') });
  const stages = await startFakeStages();
  const running = new Set<RunningCoordinator>();
  let started = 0;
  return {
    nats,
    stages,
    folder,
    model,
    data,
    start: async (options = {}, clock = systemClock) => {
      started += 1;
      const coordinator = await startOne({
        nats,
        stages,
        folder,
        instance: `coordinator-${started}`,
        options,
        clock,
      });
      running.add(coordinator);
      return coordinator;
    },
    close: async () => {
      for (const coordinator of running) await coordinator.stop();
      await stages.close();
      await nats.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** For coordinators that are killed: another leads soon. */
export const shortLease = Object.freeze({ 'lease-ttl': '1500ms' });

interface Setting {
  readonly nats: NatsServer;
  readonly stages: FakeStages;
  readonly folder: string;
  readonly instance: string;
  readonly options: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

async function startOne({
  nats: natsServer,
  stages,
  folder,
  instance,
  options: given,
  clock,
}: Setting): Promise<RunningCoordinator> {
  const options = optionsOf({
    'calibrator-address': stages.address,
    'emulator-builder-address': stages.address,
    'trainer-address': stages.address,
    'corrector-address': stages.address,
    'model-roots': join(folder, 'models'),
    'data-roots': join(folder, 'data'),
    // On a busy machine a short lease goes from one to another, and work is done again and again.
    'lease-ttl': '12s',
    ...given,
  });
  const access = { servers: [natsServer.url] };
  const [nats, lane] = [await connectNats(access), await openLane(access)];
  const storage = await openJobStorage({ nats, lane });
  const telemetry = createTelemetry({ service: 'coordinator', version: 'test' });
  const shutdown = createShutdown({ graceMs: 10_000, exit: () => undefined });
  const server = new RpcServer({ ...serverLimits(options), clock });
  const scratch = mkdtempSync(join(folder, 'scratch-'));
  const engine = fakeEngine();
  shutdown.add('server', async () => void (await server.close(1000)));
  const logger = createLogger({
    service: 'coordinator',
    level: (process.env['TEST_LOG'] as 'silent' | undefined) ?? 'silent',
  });
  await startCoordinator(
    {
      name: 'coordinator',
      instance,
      logger,
      metrics: telemetry.metrics,
      nats,
      lane,
      storage,
      server,
      shutdown,
      scratch,
      tls: { server: null, client: null },
    },
    options,
    engine,
    { clock },
  );
  const { address } = await server.listen({
    host: '127.0.0.1',
    port: 0,
    credentials: serverCredentials(null),
  });
  const channels: RpcChannel[] = [];
  const as = (token: string | null): Jobs => {
    const channel = new RpcChannel({ address, credentials: clientCredentials(null), token });
    channels.push(channel);
    return channel.client(JobService);
  };
  return {
    address,
    jobs: as(null),
    engine,
    telemetry,
    storage,
    as,
    stop: once(() => end({ shutdown, channels, nats, lane, telemetry })),
    kill: once(async () => {
      await nats.close();
      lane.close();
      await end({ shutdown, channels, nats, lane, telemetry });
    }),
  };
}

async function end({
  shutdown,
  channels,
  nats,
  lane,
  telemetry,
}: {
  shutdown: Shutdown;
  channels: RpcChannel[];
  nats: NatsConnection;
  lane: Lane;
  telemetry: Telemetry;
}): Promise<void> {
  await shutdown.request('the test is over');
  for (const channel of channels) channel.close();
  lane.close();
  await nats.close();
  telemetry.close();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}

function optionsOf(flags: Readonly<Record<string, string>>): CoordinatorOptions {
  return compileOptions(coordinatorOptions, {
    args: Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    env: {},
    envPrefix: 'EMLOC',
  });
}

/** A request for a small job, each with a request id of its own. */
export function jobRequest(
  { model, data }: Pick<Deployment, 'model' | 'data'>,
  options: MessageInitShape<typeof TuneOptionsSchema> = {},
  requestId: string = crypto.randomUUID(),
) {
  const all = {
    model,
    data: { source: { case: 'path', value: data } },
    ...options,
  } as MessageInitShape<typeof TuneOptionsSchema>;
  return { requestId, job: { displayName: 'a job', options: all } };
}

/** Events of a job until its end, or until enough are there. */
export async function eventsOf(
  jobs: Jobs,
  name: string,
  { after = 0, count = Number.POSITIVE_INFINITY }: { after?: number; count?: number } = {},
): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of jobs.watchJob({ name, afterSequence: BigInt(after) })) {
    events.push(event);
    if (events.length >= count) break;
  }
  return events;
}

/** Whether events are numbered from 1 without gaps. */
export function isGapless(events: readonly JobEvent[]): boolean {
  return events.length > 0 && events.every(({ sequence }, index) => sequence === BigInt(index + 1));
}

/** An event in a few words. */
export function describeEvent({ event }: JobEvent): string {
  switch (event.case) {
    case 'stateChanged':
      return Job_State[event.value.state] ?? '';
    case 'stageStateChanged':
      return `${at(['', 'calibrate', 'emulate', 'train', 'correct', 'refine', 'merge'], event.value.stage)} ${at(['', 'started', 'finished', 'retrying'], event.value.state)}`;
    case 'artifactCreated':
      return `artifact ${event.value.artifact.split('/').at(-1) ?? ''}`;
    default:
      return event.case ?? '';
  }
}
