import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import { inboxPrefixOf, natsUsers, type NatsServiceUser } from '@emloc/deployment';
import { buildPrograms, getPage, root, type HttpAnswer } from '@emloc/deployment/testing';
import { stageNames, type ServiceName } from '@emloc/local-deployment';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';
import { clientCredentials, RpcChannel, type TlsOptions } from '@emloc/rpc';
import { connect, type EmlocClient } from '@emloc/sdk';
import { listening, type Listening, type Spawned } from '@emloc/stage/testing';

import { makeLoopbackAuthority, type LoopbackAuthority } from '../../src/secured/certificates.js';
import { marker } from './marker.js';
import { startService } from './service-processes.js';

/**
 * NATS with TLS, client certificates and a user for each service, on its own: what services need to
 * start.
 */
export interface SecuredNats {
  readonly folder: string;
  readonly server: NatsServer;
  readonly authority: LoopbackAuthority;
  readonly users: ReadonlyMap<ServiceName, NatsServiceUser<string>>;
  /** Flags of a service with everything that it needs. */
  args(service: ServiceName, port?: string): string[];
  env(service: ServiceName): Record<string, string>;
  stop(): Promise<void>;
}

export const metricsToken = marker('metrics-token');

export async function startSecuredNats(): Promise<SecuredNats> {
  buildPrograms();
  const folder = mkdtempSync(join(tmpdir(), 'emloc-secured-'));
  const authority = makeLoopbackAuthority(join(folder, 'authority'));
  const users = natsUsers((service) => marker(`nats-password-of-${service}`));
  const { cert, key } = authority.issue('nats-server');
  const server = await startNatsServer({
    storeDir: join(folder, 'nats'),
    users: [...users.values()],
    tls: { certFile: cert, keyFile: key, clientCaFile: authority.file },
  });
  return {
    folder,
    server,
    authority,
    users,
    args: (service, port = '0') => {
      const own = authority.issue(service);
      return [
        '--port',
        port,
        '--metrics-port',
        '0',
        '--instance',
        service,
        '--scratch-dir',
        folder,
        '--log-level',
        'debug',
        '--nats-url',
        server.url,
        '--nats-user',
        service,
        '--nats-inbox-prefix',
        inboxPrefixOf(service),
        '--nats-ca',
        authority.file,
        '--nats-cert',
        own.cert,
        '--nats-key',
        own.key,
        '--tls-cert',
        own.cert,
        '--tls-key',
        own.key,
        '--tls-ca',
        authority.file,
        ...(service === 'coordinator' ? [] : ['--device-name', 'shared']),
      ];
    },
    env: (service) => ({
      EMLOC_NATS_PASSWORD: users.get(service)?.password ?? '',
      EMLOC_METRICS_TOKEN: metricsToken,
    }),
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The five services on it, and clients of them. */
export interface SecuredDeployment {
  readonly nats: SecuredNats;
  /** Signs certificates that nobody trusts. */
  readonly strangers: LoopbackAuthority;
  readonly tokens: Readonly<Record<'first' | 'second' | 'expired', string>>;
  service(name: ServiceName): Listening;
  /** Starts a service that has ended, on its earlier port. */
  startAgain(name: ServiceName): Promise<void>;
  /** A client of the job service, over TLS. @param token null: none */
  client(token: string | null): EmlocClient;
  channel(name: ServiceName, tls: TlsOptions, token?: string | null): RpcChannel;
  page(name: ServiceName, path: string, token?: string): Promise<HttpAnswer>;
  /** What all processes have written, those that have ended and nats-server included. */
  processes(): readonly { readonly name: string; output(): string }[];
  stop(): Promise<void>;
}

export async function startSecuredDeployment(): Promise<SecuredDeployment> {
  const nats = await startSecuredNats();
  const tokens = {
    first: marker('token-first'),
    second: marker('token-second'),
    expired: marker('token-expired'),
  };
  const services = new Map<ServiceName, Listening>();
  const all: { name: string; started: Spawned }[] = [];
  const start = async (
    name: ServiceName,
    { port, more = [] }: { port?: string; more?: readonly string[] } = {},
  ): Promise<void> => {
    const started = startService(name, {
      args: [...nats.args(name, port), ...more],
      env: nats.env(name),
    });
    all.push({ name, started });
    services.set(name, await listening(started));
  };
  const service = (name: ServiceName): Listening => get(services, name);
  const closers: (() => void)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers) close();
    for (const { started } of [...all].reverse()) started.child.kill('SIGTERM');
    await Promise.all(all.map(({ started }) => started.ended));
    await nats.stop();
  };
  try {
    await Promise.all(stageNames.map((name) => start(name)));
    const more = [
      '--tokens-file',
      tokensFile(nats.folder, tokens),
      '--model-roots',
      join(root, 'examples/models'),
      ...stageNames.flatMap((name) => [`--${name}-address`, service(name).address]),
    ];
    await start('coordinator', { more });
  } catch (error) {
    await stop();
    throw error;
  }
  const ca = nats.authority.client(null).ca as Buffer;
  return {
    nats,
    tokens,
    service,
    stop,
    strangers: makeLoopbackAuthority(join(nats.folder, 'strangers')),
    startAgain: (name) => start(name, { port: service(name).address.split(':')[1] }),
    client: (token) => {
      const client = connect({ address: service('coordinator').address, token, tls: { ca } });
      closers.push(() => client.close());
      return client;
    },
    channel: (name, tls, token = null) => {
      const channel = new RpcChannel({
        address: service(name).address,
        credentials: clientCredentials(tls),
        token,
        retry: { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 },
      });
      closers.push(() => channel.close());
      return channel;
    },
    page: (name, path, token) => getPage(service(name).metricsPort, path, { ca, token }),
    processes: () => all.map(({ name, started }) => ({ name, output: started.output })),
  };
}

function tokensFile(
  folder: string,
  { first, second, expired }: SecuredDeployment['tokens'],
): string {
  const hashed = (tenant: string, token: string, expiresAt: string | null) => ({
    tenant,
    sha256: createHash('sha256').update(token).digest('hex'),
    expiresAt,
  });
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'tokens.json');
  writeFileSync(
    file,
    JSON.stringify([
      hashed('first', first, null),
      hashed('second', second, null),
      hashed('first', expired, '2020-01-01T00:00:00Z'),
    ]),
  );
  return file;
}
