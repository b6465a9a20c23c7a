import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { at } from '@emloc/checked';

import { TelemetryError } from './errors.js';
import type { Telemetry } from './metrics.js';

/** What a probe found; `reason` says what is missing, without secrets. */
export type Readiness =
  { readonly ready: true } | { readonly ready: false; readonly reason: string };

export interface ProbeServerOptions {
  readonly telemetry: Pick<Telemetry, 'expose' | 'contentType'>;
  /** Asked at every `/readyz`; has to answer at once, or within the second that a probe waits. */
  readonly readiness: () => Readiness | Promise<Readiness>;
  /**
   * Whether a request for `/metrics` with this `authorization` may have them; probes need none.
   * Default: every request.
   */
  readonly mayReadMetrics?: (authorization: string | null) => boolean;
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** PEM texts; null: plain HTTP. */
  readonly tls?: { readonly certificate: Buffer; readonly key: Buffer } | null;
}

/** A running HTTP server of metrics and probes. */
export interface ProbeServer {
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

/** Who connects and asks nothing is let go soon, so that probes and Prometheus are answered. */
const limits = Object.freeze({ handshakeMs: 10_000, checkMs: 1000, maxConnections: 1000 });

const plainText = 'text/plain; charset=utf-8';

/**
 * Serves `/metrics` for Prometheus, `/livez` (also `/healthz`: the process answers) and `/readyz`
 * (200, or 503 with the reason).
 * @throws TelemetryError TELEMETRY_LISTEN_FAILED
 */
export async function startProbeServer(options: ProbeServerOptions): Promise<ProbeServer> {
  const listener: RequestListener = (request, response) => {
    const path = at((request.url ?? '').split('?'), 0);
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(response, { status: 405, body: 'GET or HEAD\n' });
    answer(path, request.headers.authorization ?? null, options).then(
      (found) => send(response, found),
      () => send(response, { status: 500, body: 'internal error\n' }),
    );
  };
  const { tls, host, port } = options;
  const checks = { connectionsCheckingInterval: limits.checkMs };
  const server: Server = tls
    ? createHttpsServer(
        {
          ...checks,
          cert: tls.certificate,
          key: tls.key,
          handshakeTimeout: limits.handshakeMs,
        },
        listener,
      )
    : createHttpServer(checks, listener);
  server.maxConnections = limits.maxConnections;
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.maxHeadersCount = 100;
  return { port: await listen(server, host, port), close: () => close(server) };
}

async function answer(
  path: string,
  authorization: string | null,
  { telemetry, readiness, mayReadMetrics = () => true }: ProbeServerOptions,
): Promise<Answer> {
  switch (path) {
    case '/metrics':
      if (!mayReadMetrics(authorization)) return { status: 401, body: 'not allowed\n' };
      return { status: 200, type: telemetry.contentType, body: await telemetry.expose() };
    case '/livez':
    case '/healthz':
      return { status: 200, body: 'ok\n' };
    case '/readyz': {
      const found = await readiness();
      return found.ready
        ? { status: 200, body: 'ok\n' }
        : { status: 503, body: `${found.reason}\n` };
    }
    default:
      return { status: 404, body: 'not found\n' };
  }
}

function send(response: ServerResponse, { status, type = plainText, body }: Answer): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

const freePortAttempts = 10;

async function listen(server: Server, host: string, port: number): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await listenOnce(server, host, port);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      // Another process may listen first on the port that was chosen for this one.
      if (port === 0 && attempt < freePortAttempts && code === 'EADDRINUSE') continue;
      throw new TelemetryError(
        'TELEMETRY_LISTEN_FAILED',
        `metrics: cannot listen on ${host}:${port}: ${message}`,
        { cause },
      );
    }
  }
}

function listenOnce(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
