import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CalibratorService, JobService } from '@emloc/contracts';

import {
  anyone,
  clientCredentials,
  RpcChannel,
  RpcError,
  RpcServer,
  serverCredentials,
  type Authenticator,
  type CallContext,
  type ChannelOptions,
  type Handlers,
  type RpcServerOptions,
  type TlsOptions,
} from '../src/index.js';

type JobHandlers = Handlers<typeof JobService, CallContext>;

const unimplemented = (): never => {
  throw new RpcError('UNIMPLEMENTED', 'not in this test');
};

/** A job service of which only what a test needs is there. */
export function jobHandlers(handlers: Partial<JobHandlers>): JobHandlers {
  return {
    createJob: unimplemented,
    getJob: unimplemented,
    listJobs: unimplemented,
    cancelJob: unimplemented,
    deleteJob: unimplemented,
    watchJob: unimplemented,
    listArtifacts: unimplemented,
    downloadArtifact: unimplemented,
    uploadDataset: unimplemented,
    planJob: unimplemented,
    ...handlers,
  };
}

/**
 * A server on a free port with a job service and a calibrator, and what makes channels to it.
 * Everything is closed by `closeAll`.
 */
export interface Running {
  readonly server: RpcServer;
  readonly port: number;
  /** `host:port` for clients. */
  readonly address: string;
  channel(options?: Partial<ChannelOptions>): RpcChannel;
}

const open: { servers: RpcServer[]; channels: RpcChannel[] } = { servers: [], channels: [] };

export async function startServer(
  handlers: Partial<JobHandlers>,
  {
    authenticate = anyone,
    tls = null,
    mutual = false,
    host = '127.0.0.1',
    ...options
  }: Partial<RpcServerOptions> & {
    authenticate?: Authenticator;
    tls?: TlsOptions | null;
    mutual?: boolean;
    host?: string;
  } = {},
): Promise<Running> {
  const server = new RpcServer(options);
  server.addService(JobService, jobHandlers(handlers), { authenticate });
  server.addService(CalibratorService, { calibrate: unimplemented }, { authenticate });
  const { port } = await server.listen({
    host,
    port: 0,
    credentials: serverCredentials(tls, { requireClientCertificate: mutual }),
  });
  open.servers.push(server);
  // The name that the certificates have.
  const address = `${host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  return {
    server,
    port,
    address,
    channel: (channelOptions = {}) => openChannel({ address, ...channelOptions }),
  };
}

/**
 * A loopback address that no other program uses, where there are many: its ports stay free when
 * their server has ended.
 */
export function ownHost(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  return `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}`;
}

export function openChannel(options: Partial<ChannelOptions> & { address: string }): RpcChannel {
  const channel = new RpcChannel({ credentials: clientCredentials(null), ...options });
  open.channels.push(channel);
  return channel;
}

export async function closeAll(): Promise<void> {
  for (const channel of open.channels.splice(0)) channel.close();
  await Promise.all(open.servers.splice(0).map((server) => server.close(0)));
}

/** A certificate of `certificates/` and the authority that it believes in. */
export function tlsOf(name: 'localhost' | 'coordinator' | 'trainer' | 'stranger'): TlsOptions {
  const read = (file: string): Buffer =>
    readFileSync(new URL(`./certificates/${file}`, import.meta.url));
  return {
    ca: read('authority.pem'),
    identity: { certificate: read(`${name}.pem`), key: read(`${name}.key`) },
  };
}

/** What a call threw. */
export async function thrownBy(call: () => Promise<unknown>): Promise<RpcError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw new Error('not an RpcError', { cause: error });
  }
  throw new Error('nothing was thrown');
}

/** Everything that a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}
