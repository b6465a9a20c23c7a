import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { request } from 'node:https';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { programsIn, type ServiceName } from '@emloc/local-deployment';

export const root = fileURLToPath(new URL('../../../..', import.meta.url));
export const dist = join(root, 'dist');

/** A service that was started, whether or not it ever listens. */
export interface Started {
  readonly child: ChildProcess;
  /** Exit code; null: a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Everything that it has written so far. */
  output(): string;
}

/** One that listens. */
export interface Listening extends Started {
  readonly address: string;
  readonly metricsPort: number;
}

export function buildPrograms(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'tools/setup/build.mjs')], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build ended with ${status}: ${stderr}`);
}

/** @param env besides this process's environment, of which nothing that configures a service is passed on */
export function startService(service: ServiceName, { args, env = {} }: { readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> }): Started {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^EMLOC_(NATS|STAGE|TLS|TOKENS|METRICS)_?/.test(name)));
  const child = spawn(process.execPath, ['--enable-source-maps', programsIn(dist)(service), ...args], { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => { written += text.toString(); });
  // `close` comes when the last output has been read.
  return { child, ended: new Promise((resolve) => { child.once('close', resolve); }), output: () => written };
}

/** Waits until the service says where it listens. @throws with its output when it ends before */
export async function listening(started: Started): Promise<Listening> {
  for (;;) {
    const line = started.output().split('\n').slice(0, -1).find((one) => one.includes('"msg":"listening"'));
    if (line) return { ...started, ...(JSON.parse(line) as { address: string; metricsPort: number }) };
    if (started.child.exitCode !== null || started.child.signalCode !== null) throw new Error(`the service ended with ${await started.ended}: ${started.output()}`);
    await sleep(20);
  }
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks for a page of probes or metrics over TLS. @throws when nothing answers */
export function getPage(port: number, path: string, { ca, token }: { readonly ca: Buffer; readonly token?: string }): Promise<HttpAnswer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, ca, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => resolve({ status: response.statusCode ?? 0, body })).on('error', reject);
    });
    asked.once('error', reject).end();
  });
}
