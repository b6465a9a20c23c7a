import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '@emloc/time/testing';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const command = join(root, 'tools/cli/bin/emloc.cjs');

interface ServeDocument {
  readonly endpoint: string;
  readonly processes: readonly {
    readonly name: string;
    readonly pid: number;
    readonly address: string;
    readonly metrics: string | null;
  }[];
}

interface Serving {
  readonly child: ChildProcess;
  readonly closed: Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Resolves when it says that all is ready. */
  readonly document: Promise<ServeDocument>;
}

let folder: string;
let servings: Serving[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'emloc-serve-'));
});
afterEach(async () => {
  for (const { child, closed } of servings) {
    child.kill('SIGKILL');
    await closed;
  }
  servings = [];
  rmSync(folder, { recursive: true, force: true });
});

function serve(...args: readonly string[]): Serving {
  const child = spawn(
    process.execPath,
    [command, 'serve', '--state-dir', join(folder, 'state'), '--port', '0', '--json', ...args],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let [stdout, stderr] = ['', ''];
  const document = new Promise<ServeDocument>((resolve) => {
    child.stdout.on('data', (text: Buffer) => {
      stdout += text.toString();
      if (stdout.endsWith('\n')) resolve(JSON.parse(stdout) as ServeDocument);
    });
  });
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const closed = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  const serving = { child, closed, document };
  servings.push(serving);
  return serving;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function statusOf(url: string): Promise<number> {
  return (await fetch(url)).status;
}

test('serves until it is interrupted, and leaves nothing running', async () => {
  const { child, closed, document } = serve('--replicas', 'emulator-builder=2');
  const { endpoint, processes } = await document;
  expect(processes.map(({ name }) => name)).toEqual([
    'nats-server',
    'coordinator',
    'calibrator',
    'emulator-builder',
    'trainer',
    'corrector',
    'emulator-builder-2',
  ]);
  expect(endpoint).toBe(processes.find(({ name }) => name === 'coordinator')?.address);
  for (const metrics of processes.flatMap((one) => one.metrics ?? []))
    expect([
      metrics,
      await statusOf(metrics),
      await statusOf(metrics.replace('/metrics', '/readyz')),
    ]).toEqual([metrics, 200, 200]);

  child.kill('SIGINT');
  const { code, stdout, stderr } = await closed;
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  expect(processes.filter(({ pid }) => isAlive(pid))).toEqual([]);
});

test('a second interruption does not wait for a process that does not end', async () => {
  const { child, closed, document } = serve();
  const { processes } = await document;
  process.kill(processes.find(({ name }) => name === 'coordinator')?.pid ?? 0, 'SIGSTOP');
  // One that comes before the first was taken in counts for none.
  await until(() => !child.kill('SIGINT') || child.exitCode !== null, 'the end', { everyMs: 100 });
  expect((await closed).code).toBe(130);
  expect(processes.filter(({ pid }) => isAlive(pid))).toEqual([]);
});

test.each([
  [
    'other addresses than loopback without tokens',
    ['--host', '0.0.0.0'],
    2,
    /coordinator ended with 2[^]*will not listen on 0\.0\.0\.0 without authentication/,
  ],
  [
    'replicas of a stage that runs once',
    ['--replicas', 'trainer=2'],
    2,
    /DEPLOYMENT_INVALID_OPTION: .*trainer runs once/,
  ],
  ['a stage that does not exist', ['--replicas', 'welder=2'], 2, /STAGE=N is expected/],
])('refuses %s', async (_name, args, status, message) => {
  const { code, stdout, stderr } = await serve(...args).closed;
  expect({ code, stdout }).toEqual({ code: status, stdout: '' });
  expect(stderr).toMatch(message);
});
