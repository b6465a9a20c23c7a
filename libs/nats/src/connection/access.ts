import { messageOf } from '@emloc/checked';
import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type ConnectionOptions,
  type NatsConnection,
  type TlsOptions,
} from '@nats-io/transport-node';

import { NatsError } from '../errors.js';

/**
 * How a process reaches NATS. Everything but `servers` may be left out for an open server on
 * loopback.
 */
export interface NatsAccess {
  /** `host:port`, `nats://host:port` or `tls://host:port`. */
  readonly servers: readonly string[];
  /** Shown by the server's monitoring. */
  readonly name?: string;
  readonly auth?: NatsAuth;
  /**
   * Begins the subjects of answers; one of its own keeps users of NATS from listening to each
   * other's. Default: `_INBOX`.
   */
  readonly inboxPrefix?: string;
  /** PEM texts. Given at all, the connection is encrypted or fails. */
  readonly tls?: NatsTls;
}

export type NatsAuth =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'nkey'; readonly seed: string }
  | { readonly kind: 'creds'; readonly creds: string };

export interface NatsTls {
  /** Certificate authorities; the system's when left out. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * The client library's options: never gives up reconnecting, tries often enough for a server that
 * restarts.
 */
export function toConnectionOptions(access: NatsAccess): ConnectionOptions {
  return {
    servers: [...access.servers],
    name: access.name,
    inboxPrefix: inboxPrefixOf(access),
    ...authOptions(access.auth),
    ...(access.tls ? { tls: tlsOptions(access.tls) } : {}),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    pingInterval: 10_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    // A stack for every request costs more than it tells: errors name what was asked.
    noAsyncTraces: true,
  } as ConnectionOptions;
}

/** @returns what the client library takes for its default too */
export function inboxPrefixOf({ inboxPrefix = '_INBOX' }: NatsAccess): string {
  return inboxPrefix;
}

/**
 * Connects, and stays connected until closed.
 * @throws NatsError NATS_CONNECT_FAILED
 */
export async function connectNats(access: NatsAccess): Promise<NatsConnection> {
  try {
    return await connect(toConnectionOptions(access));
  } catch (cause) {
    throw new NatsError(
      'NATS_CONNECT_FAILED',
      `nats: no connection to ${access.servers.join(', ')}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/**
 * Closes a connection. The client library notes a stack of its own there, for which Node would
 * parse the source map of the whole program: longer than all else that a service does as it ends.
 */
export function closeNats(nats: NatsConnection): Promise<void> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return nats.close();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function authOptions(auth: NatsAuth | undefined): Partial<ConnectionOptions> {
  switch (auth?.kind) {
    case undefined:
      return {};
    case 'token':
      return { token: auth.token };
    case 'password':
      return { user: auth.user, pass: auth.password };
    case 'nkey':
      return { authenticator: nkeyAuthenticator(new TextEncoder().encode(auth.seed)) };
    case 'creds':
      return { authenticator: credsAuthenticator(new TextEncoder().encode(auth.creds)) };
  }
}

function tlsOptions({ ca, cert, key }: NatsTls): TlsOptions {
  return { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) };
}
