import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  forgetNatsPorts,
  natsServerConfig,
  natsServerEnvironment,
  natsServerLimits,
  readNatsPorts,
  type NatsServerUser,
} from '@emloc/nats';
import { sleep } from '@emloc/time';

import { greets } from './greets.js';
import { onLines } from './lines.js';
import { exitOf, type ManagedProcess, type ProcessEndpoint } from './managed-process.js';

export interface NatsProgram {
  /** Path of nats-server. */
  readonly binary: string;
  /** Holds the configuration (mode 600), JetStream's files (`jetstream/`) and the file of ports. */
  readonly folder: string;
  /** Null: one that is free. */
  readonly port: number | null;
  readonly user: NatsServerUser;
}

const host = '127.0.0.1';
const pollMs = 20;

/** Starts nats-server with JetStream on loopback. It does not outlive this process. */
export function startNatsProcess(
  { binary, folder, port, user }: NatsProgram,
  onLine: (line: string) => void,
): ManagedProcess {
  const configFile = writeConfig({ folder, port, user });
  // The server itself takes the port: one that was found free before could be taken by then.
  const child = spawn(binary, ['--config', configFile, '--ports_file_dir', folder], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...natsServerEnvironment, ...process.env },
  });
  child.once('error', (error) => onLine(error.message));
  for (const stream of [child.stdout, child.stderr]) onLines(stream, onLine);
  guard(child);
  return {
    pid: child.pid,
    ready: waitUntilReady(child, { binary, folder }),
    exited: exitOf(child),
    signal: (signal) => void child.kill(signal),
  };
}

function writeConfig({ folder, port, user }: Omit<NatsProgram, 'binary'>): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  forgetNatsPorts(folder);
  const file = join(folder, 'nats-server.conf');
  const config = {
    serverName: 'emloc-serve',
    host,
    port: port ?? -1,
    storeDir: folder,
    ...natsServerLimits,
    users: [user],
  };
  // Into nothing that is there already: writing into a pipe waits for a reader.
  rmSync(file, { recursive: true, force: true });
  writeFileSync(file, natsServerConfig(config), { mode: 0o600, flag: 'wx' });
  return file;
}

/**
 * Ends the server when this process dies in whatever way: a shell reads from a pipe that ends then.
 * The line that it is sent when the server ends first makes it end quietly, before anything else
 * can have the server's pid for long.
 */
function guard(server: ChildProcess): void {
  if (server.pid === undefined || process.platform === 'win32') return;
  const shell = spawn('/bin/sh', ['-c', 'read -r _ || kill -TERM "$0"', String(server.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  server.once('exit', () => shell.stdin.end('ended\n'));
}

/** For ever pending when the server ends. */
async function waitUntilReady(
  child: ChildProcess,
  { binary, folder }: Pick<NatsProgram, 'binary' | 'folder'>,
): Promise<ProcessEndpoint> {
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const ports = readNatsPorts(folder, { binary, pid: child.pid });
    if (ports && (await greets(host, ports.port)))
      return { address: `${host}:${ports.port}`, metricsPort: null };
    await sleep(pollMs);
  }
  return new Promise(() => undefined);
}
