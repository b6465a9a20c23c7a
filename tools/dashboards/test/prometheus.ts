import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { until } from '@emloc/time/testing';

/** A Prometheus of the test's own. */
export interface PrometheusServer {
  /** The answer of `/api/v1/PATH`. @throws what Prometheus finds wrong with the question */
  get<T>(path: string, parameters?: Readonly<Record<string, string>>): Promise<T>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  readonly configFile: string;
  readonly dataDir: string;
}

const portAttempts = 5;

/** Path of a program of Debian's package `prometheus`. @throws what to install */
function findProgram(name: 'prometheus' | 'promtool'): string {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
  if (found) return found;
  throw new Error(
    `${name} is not on PATH. Debian and Ubuntu: apt-get install prometheus; others: https://prometheus.io/download/ (2.42 or later)`,
  );
}

/** Runs promtool. @returns everything that it says @throws where it does not end with 0 */
export function promtool(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(findProgram('promtool'), args, { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`promtool ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout + stderr;
}

/**
 * Starts a server on loopback and waits until it answers. Prometheus cannot choose a port itself:
 * where another program has taken it meanwhile, it gets another.
 */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  for (let attempt = 1; ; attempt += 1) {
    const started = await startOn(await portThatIsFree(), options);
    if ('get' in started) return started;
    const isTaken = started.log.includes('address already in use');
    if (!isTaken || attempt === portAttempts)
      throw new Error(`Prometheus is not ready: ${started.log}`);
  }
}

async function startOn(
  port: number,
  { configFile, dataDir }: PrometheusOptions,
): Promise<PrometheusServer | { readonly log: string }> {
  // No other server answers there.
  const prefix = `/${randomUUID()}`;
  const url = `http://127.0.0.1:${port}${prefix}`;
  const child = spawn(
    findProgram('prometheus'),
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${dataDir}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.route-prefix=${prefix}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (text: Buffer) => {
    log = (log + text.toString()).slice(-4000);
  });
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve()).once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  try {
    await until(() => isReady(child, url), 'Prometheus is ready', { everyMs: 50 });
  } catch (error) {
    await stop();
    return { log: `${(error as Error).message}: ${log}` };
  }
  return { stop, get: (path, parameters) => query(`${url}/api/v1/${path}`, parameters) };
}

/** @throws Error when it has ended */
async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  if (child.exitCode !== null) throw new Error('it has ended');
  return fetch(`${url}/-/ready`).then(
    (response) => response.ok,
    () => false,
  );
}

async function portThatIsFree(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => {
    probe.close(resolve);
  });
  return port;
}

async function query<T>(
  url: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await fetch(`${url}?${new URLSearchParams(parameters)}`);
  const answer = (await response.json()) as {
    readonly status: 'success' | 'error';
    readonly data: T;
    readonly error?: string;
  };
  if (answer.status !== 'success')
    throw new Error(`${answer.error}: ${JSON.stringify(parameters)}`);
  return answer.data;
}
