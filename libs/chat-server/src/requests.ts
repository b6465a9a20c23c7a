import type { IncomingMessage, ServerResponse } from 'node:http';
import { at } from '@emloc/checked';

import { RequestRefusal } from './errors.js';
import { chatFormat, textFormat, type AnswerFormat } from './formats.js';
import { giveAnswer } from './give-answer.js';
import type { Guard } from './http/guard.js';
import { readJson } from './http/read-json.js';
import { EventStream, sendJson } from './http/send.js';
import type { Answered, ChatModel } from './model.js';
import type { EndedRequest, ServerObserver } from './observer.js';
import { readChatRequest, readTextRequest, type ReadRequest } from './request/answer-request.js';
import type { Turns } from './turns.js';

export interface RequestSettings {
  readonly model: ChatModel;
  readonly turns: Turns;
  /** Of all requests but those that ask whether the server is there. */
  readonly guard: Guard;
  /** Of all requests. */
  readonly hostGuard: Guard;
  readonly observer: ServerObserver;
  /** Aborted when the server ends. */
  readonly closing: AbortSignal;
  /** Seconds since 1970 when the model was opened. */
  readonly created: number;
}

interface Exchange extends RequestSettings {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** What is asked for; gives what was answered where a model was asked. */
interface Route {
  readonly method: 'GET' | 'POST';
  readonly isOpen?: boolean;
  handle(exchange: Exchange): Promise<Answered | null> | null;
}

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/health', { method: 'GET', isOpen: true, handle: (exchange) => health(exchange) }],
  ['/v1/models', { method: 'GET', handle: (exchange) => models(exchange) }],
  ['/v1/chat/completions', answering(readChatRequest, chatFormat)],
  ['/v1/completions', answering(readTextRequest, textFormat)],
]);

/** The client of a request went away. */
class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** Answers a request, whatever it is; never rejects. */
export async function handleRequest(
  settings: RequestSettings,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const started = performance.now();
  const path = at((request.url ?? '').split('?'), 0);
  const exchange = { ...settings, request, response };
  let answered: Answered | null = null;
  try {
    answered = await routed(exchange, path);
  } catch (error) {
    if (!(error instanceof ClientGoneError)) failed(exchange, error);
  }
  settings.observer.requestEnded?.({
    route: routes.has(path) ? `${request.method} ${path}` : null,
    status: response.writableEnded ? response.statusCode : null,
    seconds: (performance.now() - started) / 1000,
    answered,
  } satisfies EndedRequest);
}

async function routed(exchange: Exchange, path: string): Promise<Answered | null> {
  const { request, guard, hostGuard } = exchange;
  hostGuard(request);
  const route = routes.get(path);
  if (route?.isOpen !== true) guard(request);
  if (!route)
    throw new RequestRefusal(`there is no ${[...routes.keys()].join(', ')} of this name`, {
      ...{ status: 404, code: 'unknown_url', closes: true },
    });
  if (request.method !== route.method)
    throw new RequestRefusal(`${route.method} is expected`, {
      ...{ status: 405, code: 'method_not_allowed', closes: true },
      headers: { allow: route.method },
    });
  return await route.handle(exchange);
}

function health({ response }: Exchange): null {
  sendJson(response, { status: 'ok' });
  return null;
}

function models({ response, model, created }: Exchange): null {
  const data = [{ id: model.id, object: 'model', created, owned_by: 'emloc' }];
  sendJson(response, { object: 'list', data });
  return null;
}

function answering(read: ReadRequest, format: AnswerFormat): Route {
  return {
    method: 'POST',
    handle: async ({ request, response, model, turns, closing }) => {
      turns.assertRoom();
      const asked = read(await readJson(request), model);
      using client = watchClient(response, closing);
      const { signal } = client;
      return await turns.run(signal, () => giveAnswer({ model, asked, format, response, signal }));
    },
  };
}

/** A signal that is aborted when the client goes away, or the server ends. */
function watchClient(
  response: ServerResponse,
  closing: AbortSignal,
): Disposable & { readonly signal: AbortSignal } {
  const gone = new AbortController();
  const leave = (): void => gone.abort(new ClientGoneError('the client went away'));
  const close = (): void => gone.abort(closing.reason);
  response.on('close', leave);
  closing.addEventListener('abort', close, { once: true });
  if (response.destroyed) leave();
  if (closing.aborted) close();
  return {
    signal: gone.signal,
    [Symbol.dispose]: () => {
      response.off('close', leave);
      closing.removeEventListener('abort', close);
    },
  };
}

/** Tells the client what it may know of an error. */
function failed({ response, observer, closing }: Exchange, error: unknown): void {
  const refusal = error instanceof RequestRefusal ? error : internal(error);
  if (response.destroyed || closing.aborted) return;
  if (refusal !== error) observer.failed?.(error);
  if (response.headersSent) new EventStream(response).fail(refusal);
  else sendJson(response, refusal, refusal);
}

/** Of an error that is the server's own, its code: messages may name folders. */
function internal(error: unknown): RequestRefusal {
  const { code } = Object(error) as { readonly code?: unknown };
  const known = typeof code === 'string' ? code : 'internal_error';
  return new RequestRefusal(`the answer could not be made (${known})`, {
    ...{ status: 500, code: known },
  });
}
