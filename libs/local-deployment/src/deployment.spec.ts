import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '@emloc/time/testing';
import { build } from 'esbuild';

import {
  startLocalDeployment,
  type LocalDeployment,
  type LocalDeploymentOptions,
} from './deployment.js';
import { defaultPolicy } from './supervision/machine.js';

const fake = fileURLToPath(new URL('./testing/fake-service.mjs', import.meta.url));
const policy = { ...defaultPolicy, backoffBaseMs: 20, backoffMaxMs: 200, stopWithinMs: 10_000 };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'emloc-deployment-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Note {
  readonly event: 'start' | 'end';
  readonly service: string;
  readonly pid: number;
  readonly flags: Readonly<Record<string, string>>;
  readonly hasNatsPassword: boolean;
}

const notes = (): Note[] =>
  readFileSync(join(folder, 'notes'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Note);

function options(
  change: Partial<LocalDeploymentOptions> = {},
  env: Record<string, string> = {},
): LocalDeploymentOptions {
  return {
    program: () => fake,
    stateDir: join(folder, 'state'),
    port: 0,
    policy,
    flags: (service) => ['--service', service],
    env: { ...process.env, FAKE_NOTES: join(folder, 'notes'), ...env },
    ...change,
  };
}

const pidOf = (deployment: LocalDeployment, name: string): number =>
  deployment.processes().find((one) => one.name === name)?.pid ?? 0;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function connects(address: string): Promise<boolean> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) }, () => {
      socket.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}

test('starts NATS, the stages with their replicas and the coordinator, and stops them the other way round', async () => {
  const deployment = await startLocalDeployment(options({ replicas: { 'emulator-builder': 2 } }));
  const processes = deployment.processes();
  expect(processes.map(({ name }) => name)).toEqual([
    'nats-server',
    'coordinator',
    'calibrator',
    'emulator-builder',
    'trainer',
    'corrector',
    'emulator-builder-2',
  ]);
  for (const { address, isReady } of processes)
    expect([isReady, await connects(address)]).toEqual([true, true]);
  const addressOf = (name: string): string =>
    processes.find((one) => one.name === name)?.address ?? '';
  const starts = notes();
  expect(starts.at(-1)).toMatchObject({ service: 'coordinator', hasNatsPassword: true });
  expect(starts.at(-1)?.flags).toMatchObject({
    'nats-url': deployment.natsUrl,
    'calibrator-address': addressOf('calibrator'),
    'trainer-address': addressOf('trainer'),
    'corrector-address': addressOf('corrector'),
    'emulator-builder-address': `${addressOf('emulator-builder')},${addressOf('emulator-builder-2')}`,
  });
  expect(new Set(starts.map(({ flags }) => flags['instance'])).size).toBe(6);

  expect(await deployment.stop()).toBe(true);
  expect(
    notes()
      .filter(({ event }) => event === 'end')
      .map(({ service }) => service)[0],
  ).toBe('coordinator');
  expect(notes()).toHaveLength(12);
  expect(processes.filter(({ pid }) => isAlive(pid ?? 0))).toEqual([]);
});

test('keeps secrets out of the process list, and files to their owner', async () => {
  const deployment = await startLocalDeployment(options());
  const config = readFileSync(join(folder, 'state', 'nats', 'nats-server.conf'), 'utf8');
  const password = /password: "([^"]+)"/.exec(config)?.[1] ?? '';
  expect(password.length).toBeGreaterThan(20);
  expect(JSON.stringify(notes().map(({ flags }) => flags))).not.toContain(password);
  expect(
    ['state', 'state/nats', 'state/nats/nats-server.conf'].map((path) =>
      (statSync(join(folder, path)).mode & 0o777).toString(8),
    ),
  ).toEqual(['700', '700', '600']);
  await deployment.stop();
});

test('starts killed processes again with the ports and names that they had', async () => {
  const exits: string[] = [];
  const deployment = await startLocalDeployment(
    options({
      observer: {
        exited: (name, { signal }, restartMs) =>
          exits.push(`${name} ${signal} ${restartMs === null ? 'stays' : 'again'}`),
      },
    }),
  );
  const before = deployment.processes();
  for (const name of ['nats-server', 'trainer', 'coordinator'])
    process.kill(pidOf(deployment, name), 'SIGKILL');
  await until(
    () =>
      deployment.processes().filter(({ isReady, restarts }) => isReady && restarts === 1).length ===
      3,
    'three processes are ready again',
  );
  expect(exits.sort()).toEqual([
    'coordinator SIGKILL again',
    'nats-server SIGKILL again',
    'trainer SIGKILL again',
  ]);
  const withoutRun = ({ name, address, metricsPort }: (typeof before)[number]): object => ({
    name,
    address,
    metricsPort,
  });
  expect(deployment.processes().map(withoutRun)).toEqual(before.map(withoutRun));
  const instances = notes()
    .filter(({ service }) => service === 'trainer')
    .map(({ flags }) => flags['instance']);
  expect(instances).toEqual([instances[0], instances[0]]);
  expect(await deployment.stop()).toBe(true);
});

test('a service that was called wrongly ends the start, with what it said; nothing is left', async () => {
  await expect(
    startLocalDeployment(options({}, { FAKE_FAILS: 'corrector 2' })),
  ).rejects.toMatchObject({
    code: 'DEPLOYMENT_START_FAILED',
    message: expect.stringMatching(
      /corrector ended with 2\n +corrector: options: unknown flag --colour/,
    ),
  });
  expect(notes().filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(readdirSync(join(folder, 'state'))).toEqual(['nats']);
});

test('an abort while it starts stops what was started', async () => {
  const stop = new AbortController();
  const starting = startLocalDeployment(
    options({ onLine: () => stop.abort(new Error('enough')) }),
    { stop: stop.signal },
  );
  await expect(starting).rejects.toThrow('enough');
  await (await startLocalDeployment(options())).kill();
  expect(notes().filter(({ pid }) => isAlive(pid))).toEqual([]);
});

test('a state folder has one deployment at a time', async () => {
  const deployment = await startLocalDeployment(options());
  await expect(startLocalDeployment(options())).rejects.toMatchObject({
    code: 'DEPLOYMENT_STATE_IN_USE',
    message: expect.stringContaining(String(process.pid)),
  });
  await deployment.stop();
});

test('refuses what is not built', async () => {
  await expect(
    startLocalDeployment(options({ program: () => join(folder, 'none.mjs') })),
  ).rejects.toMatchObject({ code: 'DEPLOYMENT_PROGRAM_MISSING' });
});

test('no process outlives a killed parent, and the next deployment has the folder', async () => {
  const parent = join(folder, 'parent.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./testing/parent.ts', import.meta.url))],
    outfile: parent,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: {
      js: "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);",
    },
  });
  const child = spawn(process.execPath, [parent, fake, join(folder, 'state')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: options().env,
  });
  const line = await new Promise<string>((resolve) => {
    child.stdout.once('data', (text: Buffer) => resolve(text.toString()));
  });
  const pids = JSON.parse(line) as number[];
  expect(pids.map(isAlive)).toEqual([true, true, true, true, true, true]);
  const killed = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  child.kill('SIGKILL');
  await killed;
  const deployment = await startLocalDeployment(options());
  await until(() => !pids.some(isAlive), 'the processes are gone');
  await deployment.stop();
});
