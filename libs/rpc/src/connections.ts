import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server as NetServer, Socket } from 'node:net';
import { systemClock, type Timer } from '@emloc/time';
import type { Server } from '@grpc/grpc-js';

import type { Principal } from './authentication.js';

export interface ConnectionLimits {
  /** Open at the same time; one more takes the place of another. */
  readonly maxConnections: number;
  /** How long a TLS handshake may take. */
  readonly handshakeMs: number;
}

/** A connection, as who has to make room sees it. */
export interface HeldConnection {
  /** Whose calls came over it; null: nobody's yet that says who it is. */
  readonly owner: string | null;
}

/**
 * Which connection makes room: of those who hold the most, the oldest. Connections over which
 * nobody has said who calls go first where as many are others'.
 * @param held by age, the oldest first
 */
export function chooseToClose<C extends HeldConnection>(held: Iterable<C>): C | undefined {
  const byOwner = new Map<string | null, C[]>([[null, []]]);
  for (const connection of held) {
    const known = byOwner.get(connection.owner);
    if (known) known.push(connection);
    else byOwner.set(connection.owner, [connection]);
  }
  return [...byOwner.values()].reduce((most, group) =>
    group.length > most.length ? group : most,
  )[0];
}

interface Connection extends HeldConnection {
  owner: string | null;
  readonly socket: Socket;
  readonly handshake: Timer;
}

/** The open connections of a server. */
export class Connections {
  /** By `address:port` of the peer, the oldest first. */
  readonly #open = new Map<string, Connection>();
  readonly #guarded = new WeakSet<NetServer>();

  constructor(private readonly limits: ConnectionLimits) {}

  /** Before the server accepts its first connection. */
  guard(server: NetServer): void {
    if (this.#guarded.has(server)) return;
    this.#guarded.add(server);
    server.prependListener('connection', (socket: Socket) => this.#opened(socket));
    server.on('session', ({ socket }: ServerHttp2Session) => {
      this.#open.get(peerOf(socket) ?? '')?.handshake.end();
    });
    server.prependListener('stream', keepEveryAuthorization);
  }

  /** @param peer `address:port`, over whose connection a call of this principal came */
  identify(peer: string, principal: Principal): void {
    const connection = this.#open.get(peer);
    // Calls that anybody may make do not say whose connection it is.
    if (connection) connection.owner = ownerOf(principal) ?? connection.owner;
  }

  #opened(socket: Socket): void {
    const peer = peerOf(socket);
    if (peer === undefined) return;
    const handshake = systemClock.after(this.limits.handshakeMs, () => socket.destroy(), {
      holdsProcess: false,
    });
    this.#open.set(peer, { owner: null, socket, handshake });
    socket.once('close', () => {
      handshake.end();
      if (this.#open.get(peer)?.socket === socket) this.#open.delete(peer);
    });
    while (this.#open.size > this.limits.maxConnections) this.#close();
  }

  #close(): void {
    const connection = chooseToClose(this.#open.values());
    if (!connection) return;
    this.#open.delete(peerOf(connection.socket) ?? '');
    connection.socket.destroy();
  }
}

function ownerOf(principal: Principal): string | null {
  switch (principal.kind) {
    case 'anonymous':
      return null;
    case 'tenant':
      return `tenant ${principal.tenant}`;
    case 'certificate':
      return `certificate ${principal.name}`;
  }
}

function peerOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>) {
  return remoteAddress === undefined ? undefined : `${remoteAddress}:${remotePort}`;
}

/**
 * Node keeps the first of several `authorization` headers and drops the others: all of them are
 * put back, so that who reads them sees that there are several.
 */
function keepEveryAuthorization(
  _stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  _flags: number,
  raw: readonly string[],
): void {
  const values = raw.filter((_, index) => index % 2 === 1 && raw[index - 1] === 'authorization');
  if (values.length > 1) Object.assign(headers, { authorization: values });
}

/**
 * The HTTP/2 servers behind a server of grpc-js, which offers neither limits of connections nor raw
 * headers.
 * @throws TypeError when this version of grpc-js keeps them elsewhere
 */
export function http2ServersOf(server: Server): Iterable<NetServer> {
  const { http2Servers } = server as unknown as { readonly http2Servers?: unknown };
  if (!(http2Servers instanceof Map) || http2Servers.size === 0)
    throw new TypeError('grpc-js: the HTTP/2 servers of a server that listens were not found');
  return http2Servers.keys() as Iterable<NetServer>;
}
