import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { ChatServerError } from './errors.js';
import { isLoopback, keyHoldersOnly, ownNamesOnly, type Guard } from './http/guard.js';
import type { ChatModel } from './model.js';
import type { ServerObserver } from './observer.js';
import { handleRequest } from './requests.js';
import { Turns } from './turns.js';

export interface ChatServerOptions {
  readonly model: ChatModel;
  /** Address or name to listen on. Others than loopback need a key. */
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** That clients show as a bearer token; null: whoever reaches the server may ask. */
  readonly apiKey: string | null;
  /** Requests that wait for their turn, beside the one that is answered. Default: 16. */
  readonly mostWaiting?: number;
  readonly observer?: ServerObserver;
}

/** A server that listens. */
export interface ChatServer {
  readonly port: number;
  /** `http://HOST:PORT/v1`, as clients of OpenAI's API take it. */
  readonly url: string;
  /** Ends at once: answers are cut. Resolves when the model is asked nothing any more. */
  close(): Promise<void>;
}

/** Who connects and asks nothing is let go soon. */
const limits = Object.freeze({
  headersMs: 10_000,
  /** With its body. */
  requestMs: 60_000,
  idleMs: 5_000,
  checkMs: 1_000,
  headerBytes: 16 * 2 ** 10,
  headers: 100,
  connections: 64,
  waiting: 16,
});

const everyone: Guard = () => undefined;

/**
 * Serves a model in the form of OpenAI's API: `POST /v1/chat/completions` and `/v1/completions`,
 * `GET /v1/models` and `/health`. One answer is made at a time.
 * @throws ChatServerError CHAT_SERVER_INVALID_OPTION, CHAT_SERVER_LISTEN_FAILED
 */
export async function startChatServer(options: ChatServerOptions): Promise<ChatServer> {
  assertGuarded(options);
  const { model, host, apiKey, observer = {}, mostWaiting = limits.waiting } = options;
  const [closing, turns] = [new AbortController(), new Turns(mostWaiting)];
  const settings = {
    ...{ model, observer, turns, closing: closing.signal },
    guard: apiKey === null ? everyone : keyHoldersOnly(apiKey),
    // Who shows a key is no page of a browser that was led here.
    hostGuard: apiKey === null ? ownNamesOnly : everyone,
    created: Math.floor(Date.now() / 1000),
  };
  const server = createServer(
    { connectionsCheckingInterval: limits.checkMs, maxHeaderSize: limits.headerBytes },
    (request, response) => void handleRequest(settings, request, response),
  );
  server.headersTimeout = limits.headersMs;
  server.requestTimeout = limits.requestMs;
  server.keepAliveTimeout = limits.idleMs;
  server.maxHeadersCount = limits.headers;
  server.maxConnections = limits.connections;
  const port = await listen(server, options);
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    ...{ port, url: `http://${name}:${port}/v1` },
    close: async () => {
      closing.abort(new Error('the server ends'));
      await close(server);
      await turns.idle();
    },
  };
}

/** @throws ChatServerError CHAT_SERVER_INVALID_OPTION */
function assertGuarded({ host, apiKey }: ChatServerOptions): void {
  if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new ChatServerError(
      'CHAT_SERVER_INVALID_OPTION',
      'the API key must be of visible ASCII characters, without spaces',
    );
  if (apiKey !== null || isLoopback(host)) return;
  throw new ChatServerError(
    'CHAT_SERVER_INVALID_OPTION',
    `host ${host}: it is not loopback, so that others could ask: an API key is needed`,
  );
}

function listen(server: Server, { host, port }: ChatServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'another program listens there' : cause.message;
      reject(
        new ChatServerError(
          'CHAT_SERVER_LISTEN_FAILED',
          `cannot listen on ${host}, port ${port}: ${reason}`,
          { cause },
        ),
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
