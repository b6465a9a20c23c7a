import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '@emloc/time';
import { until } from '@emloc/time/testing';

import { NatsError } from '../errors.js';
import { forgetNatsPorts, readNatsPorts, type NatsPorts } from '../server/ports-file.js';
import {
  natsServerConfig,
  natsServerLimits,
  type NatsServerConfig,
} from '../server/server-config.js';
import { findNatsServer, natsServerEnvironment } from '../server/server-program.js';

export interface StartNatsServerOptions extends Partial<Omit<NatsServerConfig, 'storeDir'>> {
  /** Left out: one that is free. */
  readonly port?: number;
  /** Holds JetStream's files, the configuration (mode 600) and the log; made when it is missing. */
  readonly storeDir: string;
  /** Path of the program; looked up on PATH when left out. */
  readonly binary?: string;
  readonly readyTimeoutMs?: number;
}

/** A nats-server that this process started, and that it alone stops. */
export interface NatsServer {
  readonly host: string;
  readonly port: number;
  /** Of the monitoring page; null: it has none. */
  readonly monitorPort: number | null;
  /** `nats://host:port` (`tls://` with TLS). */
  readonly url: string;
  readonly pid: number | undefined;
  readonly running: boolean;
  readonly logFile: string;
  /** Resolves with how the server ended, each time that it ends. */
  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** SIGTERM, then SIGKILL after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>;
  /** Starts again with the same port and files. @throws NatsError NATS_SERVER_FAILED */
  restart(): Promise<void>;
}

/**
 * Starts nats-server with JetStream and waits until it answers.
 * @throws NatsError NATS_SERVER_NOT_FOUND with instructions, NATS_SERVER_FAILED with the end
 * of its log
 */
export async function startNatsServer(options: StartNatsServerOptions): Promise<NatsServer> {
  const host = options.host ?? '127.0.0.1';
  mkdirSync(options.storeDir, { recursive: true });
  const serverName = options.serverName ?? `emloc-${randomBytes(6).toString('hex')}`;
  const config = {
    ...natsServerLimits,
    ...options,
    serverName,
    host,
    storeDir: join(options.storeDir, 'jetstream'),
  };
  const server = new ChildNatsServer({
    serverName,
    binary: options.binary ?? findNatsServer(),
    host,
    folder: options.storeDir,
    configOf: (ports) => natsServerConfig({ ...config, ...ports }),
    secure: options.tls !== undefined,
    readyTimeoutMs: options.readyTimeoutMs ?? 15_000,
    ports: { port: options.port ?? anyPort, monitorPort: options.monitorPort },
  });
  await server.restart();
  return server;
}

/** With it in place of a port, the server takes one that is free, and says which. */
const anyPort = -1;

interface ChildSettings {
  readonly serverName: string;
  readonly binary: string;
  readonly host: string;
  readonly folder: string;
  configOf(ports: AskedPorts): string;
  readonly secure: boolean;
  readonly readyTimeoutMs: number;
  readonly ports: AskedPorts;
}

type AskedPorts = Pick<NatsServerConfig, 'port' | 'monitorPort'>;

class ChildNatsServer implements NatsServer {
  readonly host: string;
  readonly logFile: string;
  /** Those of the first start are kept. */
  #ports: NatsPorts | null = null;
  #child: ChildProcess | undefined;
  #exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }> = Promise.resolve({
    code: null,
    signal: null,
  });
  #output = '';

  constructor(private readonly settings: ChildSettings) {
    this.host = settings.host;
    this.logFile = join(settings.folder, 'nats-server.log');
  }

  get port(): number {
    return this.#ports?.port ?? this.settings.ports.port;
  }

  get monitorPort(): number | null {
    return this.#ports?.monitorPort ?? null;
  }

  get url(): string {
    return `${this.settings.secure ? 'tls' : 'nats'}://${this.host}:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get running(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    );
  }

  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.#exit;
  }

  async stop(graceMs = 5000): Promise<void> {
    if (!this.running) return;
    this.#child?.kill('SIGTERM');
    using _limit = systemClock.after(graceMs, () => this.#child?.kill('SIGKILL'));
    await this.#exit;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  async restart(): Promise<void> {
    if (this.running) return;
    this.#output = '';
    const child = this.#spawn();
    this.#child = child;
    child.stderr?.on('data', (text: Buffer) => {
      this.#output = (this.#output + text.toString()).slice(-2000);
    });
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      child.once('error', (error) => {
        this.#output += error.message;
        resolve({ code: null, signal: null });
      });
    });
    await this.#waitUntilReady();
  }

  #spawn(): ChildProcess {
    const { binary, folder, configOf, ports } = this.settings;
    const configFile = join(folder, 'nats-server.conf');
    const monitorPort = this.#ports?.monitorPort ?? ports.monitorPort;
    forgetNatsPorts(folder);
    writeFileSync(configFile, configOf({ port: this.port, monitorPort }), { mode: 0o600 });
    return spawn(
      binary,
      ['--config', configFile, '--log', this.logFile, '--ports_file_dir', folder],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...natsServerEnvironment, ...process.env },
      },
    );
  }

  async #waitUntilReady(): Promise<void> {
    const { host, readyTimeoutMs } = this.settings;
    const at = this.port === anyPort ? host : `${host}:${this.port}`;
    try {
      this.#ports = await until(() => this.#answeringPorts(), 'it answers', {
        withinMs: readyTimeoutMs,
      });
    } catch (cause) {
      await this.kill();
      throw new NatsError(
        'NATS_SERVER_FAILED',
        `nats-server on ${at}: ${(cause as Error).message} (log: ${this.logFile}) ${this.#output.trim()}`,
        { cause },
      );
    }
  }

  /** Null: not yet. @throws Error when it has ended */
  async #answeringPorts(): Promise<NatsPorts | null> {
    const { serverName, binary, host, folder } = this.settings;
    if (!this.running) throw new Error('it has ended');
    const ports = readNatsPorts(folder, { binary, pid: this.pid ?? 0 });
    return ports && (await greets(serverName, host, ports.port)) ? ports : null;
  }
}

/** Whether this server answers there, and not another one that has the port already. */
function greets(serverName: string, host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('data', (bytes: Buffer) =>
      end(bytes.toString('latin1').includes(`"server_name":"${serverName}"`)),
    );
  });
}
