import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { healthV1, JobSpecSchema, toTuneOptionsMessage, TrainerService, type TrainResponse } from '@emloc/contracts';
import { type JobStorage, jobNameOf, openJobStorage } from '@emloc/job-storage';
import { defaultTuneOptions } from '@emloc/pipeline';
import { clientCredentials, livenessService, RpcChannel } from '@emloc/rpc';
import { connectNats, type Lane, type NatsConnection, type NatsServer, openLane, startNatsServer } from '@emloc/service-kit';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const names = ['calibrator', 'emulator-builder', 'trainer', 'corrector'] as const;
const stageToken = 'token-of-the-stages';
const steps = 20;

interface Service {
  readonly child: ChildProcess;
  readonly address: string;
  readonly http: string;
  readonly ended: Promise<number | null>;
}

let folder: string;
let server: NatsServer;
let nats: NatsConnection;
let lane: Lane;
let storage: JobStorage;
const children: ChildProcess[] = [];
const channels: RpcChannel[] = [];

beforeAll(async () => {
  const { ensureBundled, listPrograms } = (await import(pathToFileURL(join(root, 'tools/setup/bundle.mjs')).href)) as {
    listPrograms(): { name: string }[]; ensureBundled(program: { name: string }): Promise<string>;
  };
  for (const program of listPrograms().filter(({ name }) => names.some((one) => one === name))) await ensureBundled(program);
  folder = mkdtempSync(join(tmpdir(), 'emloc-services-'));
  server = await startNatsServer({ storeDir: join(folder, 'nats') });
  nats = await connectNats({ servers: [server.url] });
  lane = await openLane({ servers: [server.url] });
  storage = await openJobStorage({ nats, lane });
}, 120_000);
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const channel of channels) channel.close();
  lane.close();
  await nats.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function spawnService(name: string, args: readonly string[], env: Record<string, string> = { EMLOC_STAGE_TOKEN: stageToken }): { child: ChildProcess; ended: Promise<number | null>; lines: () => string } {
  const flags = ['--nats-url', server.url, '--port', '0', '--metrics-port', '0', '--instance', name, '--scratch-dir', folder, '--threads', '1', ...args];
  const child = spawn(process.execPath, [join(root, 'dist', name, `${name}.mjs`), ...flags], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => { output += text.toString(); });
  return { child, ended: new Promise((resolve) => { child.once('exit', resolve); }), lines: () => output };
}

async function start(name: string, args: readonly string[] = []): Promise<Service> {
  const { child, ended, lines } = spawnService(name, args);
  while (!lines().includes('"listening"')) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${lines()}`);
    await sleep(20);
  }
  const line = lines().split('\n').find((one) => one.includes('"listening"')) ?? '';
  const { address, metricsPort } = JSON.parse(line) as { address: string; metricsPort: number };
  return { child, ended, address, http: `http://127.0.0.1:${metricsPort}` };
}

function channelTo(address: string, token: string | null = stageToken): RpcChannel {
  const channel = new RpcChannel({ address, credentials: clientCredentials(null), token });
  channels.push(channel);
  return channel;
}

/** Training on the original: a stage that needs nothing of another one. */
async function trainRequest(job: string, token: number) {
  const options = toTuneOptionsMessage({
    ...defaultTuneOptions, model: join(root, 'examples/models/tiny-qwen2'), data: join(root, 'examples/data/train.jsonl'), vramBytes: 16 * 2 ** 20, ratios: ['1'], steps, batch: 4, maxLength: 96,
  });
  const spec = await storage.writeSpec(create(JobSpecSchema, { job: jobNameOf(job), options }));
  return { call: { job: jobNameOf(job), attempt: 1, fencingToken: BigInt(token), spec } };
}

interface Training {
  readonly resumedFrom: number;
  readonly reported: number[];
  readonly sha256: string;
}

/** Trains to the end, or to the error of the call. */
async function train(address: string, request: Awaited<ReturnType<typeof trainRequest>>, onStep: (step: number) => void = () => undefined): Promise<Training> {
  const training = { resumedFrom: 0, reported: [] as number[], sha256: '' };
  for await (const { content } of channelTo(address).client(TrainerService).train(request) as AsyncIterable<TrainResponse>) {
    if (content.case === 'result') training.sha256 = content.value.adapter?.sha256 ?? '';
    if (content.case !== 'event') continue;
    const { event } = content.value;
    if (event.case === 'accepted') training.resumedFrom = Number(event.value.resumedFrom);
    if (event.case === 'step') {
      training.reported.push(event.value.step);
      onStep(event.value.step);
    }
  }
  return training;
}

test.each(names)('%s listens, answers probes and health, and ends in order', async (name) => {
  const { child, ended, address, http } = await start(name);
  const health = channelTo(address, null).client(healthV1.Health);
  for (const path of ['livez', 'readyz', 'healthz', 'metrics']) expect([path, (await fetch(`${http}/${path}`)).status]).toEqual([path, 200]);
  for (const service of ['', livenessService]) expect(await health.check({ service })).toMatchObject({ status: healthV1.HealthCheckResponse_ServingStatus.SERVING });
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('refuses to listen where others can reach it without authentication', async () => {
  const { ended, lines } = spawnService('trainer', ['--host', '0.0.0.0'], {});
  expect([await ended, lines()]).toEqual([2, expect.stringContaining('authentication')]);
});

test('a stage is called with its token only', async () => {
  const { child, ended, address } = await start('trainer');
  const request = await trainRequest('refused', 1);
  for (const token of [null, 'another-token']) {
    const read = async (): Promise<void> => { for await (const _response of channelTo(address, token).client(TrainerService).train(request)) continue; };
    await expect(read()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  }
  expect(await storage.stages.read('refused', 'train')).toBeUndefined();
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('a trainer that is told to stop saves its state; the next one goes on from there and makes the same adapter', async () => {
  const first = await start('trainer');
  const times: number[] = [];
  let done = false;
  const whole = train(first.address, await trainRequest('whole', 1)).finally(() => { done = true; });
  while (!done) {
    const startedMs = performance.now();
    await fetch(`${first.http}/livez`);
    times.push(performance.now() - startedMs);
    await sleep(10);
  }
  const undisturbed = await whole;
  expect(undisturbed.reported).toEqual(Array.from({ length: steps }, (_, index) => index + 1));
  // The main thread answers while the engine is at full load.
  expect(times.sort((a, b) => a - b)[Math.floor(times.length / 2)]).toBeLessThan(100);

  const stopped = train(first.address, await trainRequest('stopped', 1), (step) => { if (step === 3) first.child.kill('SIGTERM'); });
  await expect(stopped).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(await first.ended).toBe(0);
  const { checkpoint = null } = (await storage.stages.read('stopped', 'train')) ?? {};
  const savedStep = Number(/-(\d+)$/.exec(checkpoint ?? '')?.[1]);
  expect(savedStep).toBeGreaterThanOrEqual(3);

  const second = await start('trainer');
  const resumed = await train(second.address, await trainRequest('stopped', 2));
  expect(resumed).toMatchObject({ resumedFrom: savedStep, sha256: undisturbed.sha256 });
  expect(resumed.reported[0]).toBe(savedStep + 1);
  second.child.kill('SIGTERM');
  expect(await second.ended).toBe(0);
}, 120_000);
