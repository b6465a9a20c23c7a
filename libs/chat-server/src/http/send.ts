import { Buffer } from 'node:buffer';
import type { ServerResponse } from 'node:http';

/** Who takes what is sent so slowly is let go. */
const drainMs = 30_000;

/** Sends one JSON document. */
export function sendJson(
  response: ServerResponse,
  document: unknown,
  {
    status = 200,
    headers = {},
  }: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): void {
  const body = JSON.stringify(document);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  finish(response, body);
}

/** Sends events as they come (server-sent events, data only). */
export class EventStream {
  /** Nothing is sent before the first event. */
  constructor(private readonly response: ServerResponse) {}

  send(data: unknown): void {
    this.#open();
    this.response.write(`data: ${JSON.stringify(data)}\n\n`);
  }

  /** Ends a stream that lacks nothing. */
  done(): void {
    this.#open();
    finish(this.response, 'data: [DONE]\n\n');
  }

  /** Ends a stream that was cut short. */
  fail(error: unknown): void {
    this.send(error);
    finish(this.response, '');
  }

  #open(): void {
    if (this.response.headersSent) return;
    this.response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
  }
}

function finish(response: ServerResponse, rest: string): void {
  response.socket?.setTimeout(drainMs);
  response.end(rest);
}
