import { Watchdog } from '@emloc/time';
import { EnvHttpProxyAgent, fetch as undiciFetch, type Dispatcher, type Response } from 'undici';

import { HubError } from './errors.js';
import { MeteredBlob } from './push/metered-blob.js';
import { errorOfSending } from './push/sending-errors.js';
import { errorOfAnswer } from './response-errors.js';
import { PassingError } from './retry.js';
import type { HubSettings } from './settings.js';

/** What a request is made for, for messages. */
interface Subject {
  readonly model: string;
  readonly file: string | null;
}

export interface HubRequest extends Subject {
  readonly url: string;
  readonly signal: AbortSignal;
  /** Go to the hub's origin only, as the token does. */
  readonly hubHeaders?: Readonly<Record<string, string>>;
  /** Go to whoever has the file. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: nothing is sent, by GET. */
  readonly send?: Sending;
}

/** What a request changes where it goes to. */
interface Sending {
  readonly method: 'POST' | 'PUT';
  readonly body: string | Blob;
  /** Hears how many more bytes of a blob have been taken for the network. */
  onBytes?(bytes: number): void;
}

/** An answer with its body, which must be read to its end or given up with `close`. */
export interface OpenAnswer {
  readonly status: number;
  header(name: string): string | null;
  /** Of the hub's own answer, which may have sent on to another host. */
  hubHeader(name: string): string | null;
  /** @throws PassingError where the connection breaks or falls silent */
  body(): AsyncGenerator<Uint8Array>;
  close(): void;
}

const mostRedirects = 10;
const redirects: readonly number[] = [301, 302, 303, 307, 308];
/** After which what was sent is sent again as it was. */
const sameMethodRedirects: readonly number[] = [307, 308];

/**
 * Speaks HTTP with a hub, through the proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY. The token
 * goes to the origin of the endpoint alone.
 */
export class HubClient {
  readonly endpoint: string;
  readonly #origin: string;
  readonly #token: string | null;
  readonly #timeoutMs: number;
  readonly #userAgent: string;
  #dispatcher: Dispatcher | null = null;

  constructor(
    { endpoint, token, timeoutMs }: Pick<HubSettings, 'endpoint' | 'token' | 'timeoutMs'>,
    userAgent: string,
  ) {
    this.endpoint = endpoint;
    this.#origin = new URL(endpoint).origin;
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#userAgent = userAgent;
  }

  /**
   * A successful answer, redirects followed.
   * @throws HubError for a refusal; PassingError for what may succeed later
   */
  async open(request: HubRequest): Promise<OpenAnswer> {
    const stop = new AbortController();
    const watch = silenceWatch(stop, this.#timeoutMs);
    const signal = AbortSignal.any([request.signal, stop.signal]);
    try {
      return await this.#follow(request, { stop, watch, signal });
    } catch (error) {
      watch.end();
      request.signal.throwIfAborted();
      if (error instanceof HubError || error instanceof PassingError) throw error;
      throw connectionError(error, request.url);
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  async #follow(request: HubRequest, open: Opening): Promise<OpenAnswer> {
    let url = new URL(request.url);
    let ofHub: Response | null = null;
    for (let hops = 0; hops <= mostRedirects; hops += 1) {
      const response = await this.#send(url, request, open);
      if (url.origin === this.#origin) ofHub = response;
      const location = response.headers.get('location');
      const followed = request.send ? sameMethodRedirects : redirects;
      if (!followed.includes(response.status) || location === null)
        return this.#answer(response, ofHub, { url, request, open });
      await response.body?.cancel();
      url = redirectTarget(url, location);
    }
    throw new HubError(
      'HUB_RESPONSE_INVALID',
      `${request.model}: more than ${mostRedirects} redirects, the last to ${url.host}`,
    );
  }

  async #send(url: URL, request: HubRequest, { watch, signal }: Opening): Promise<Response> {
    this.#dispatcher ??= new EnvHttpProxyAgent({ headersTimeout: 0, bodyTimeout: 0 });
    const isHub = url.origin === this.#origin;
    watch.heard();
    const response = await undiciFetch(url, {
      redirect: 'manual',
      signal,
      dispatcher: this.#dispatcher,
      ...(request.send ? sentBy(request.send, () => watch.heard()) : {}),
      headers: {
        'user-agent': this.#userAgent,
        // Ranges and sizes are those of the file itself.
        'accept-encoding': 'identity',
        ...request.headers,
        ...(isHub ? request.hubHeaders : {}),
        ...(isHub && this.#token !== null ? { authorization: `Bearer ${this.#token}` } : {}),
      },
    });
    watch.heard();
    return response;
  }

  #answer(
    response: Response,
    ofHub: Response | null,
    { url, request, open }: { url: URL; request: HubRequest; open: Opening },
  ): OpenAnswer {
    const { stop, watch } = open;
    const header = (name: string): string | null => response.headers.get(name);
    const close = (): void => {
      watch.end();
      stop.abort();
    };
    if (!response.ok) {
      close();
      const toError = request.send ? errorOfSending : errorOfAnswer;
      throw toError(
        { status: response.status, header },
        {
          ...request,
          page: `${this.endpoint}/${request.model.replace(/@.*$/, '')}`,
          host: url.origin,
          hasToken: this.#token !== null,
        },
      );
    }
    return {
      status: response.status,
      header,
      hubHeader: (name) => ofHub?.headers.get(name) ?? null,
      body: () => readBody(response, url, { request, open }),
      close,
    };
  }
}

/** A request that is under way. */
interface Opening {
  /** Ends it. */
  readonly stop: AbortController;
  readonly watch: Watchdog;
  readonly signal: AbortSignal;
}

/** A blob that is taken shows that the connection lives. */
function sentBy(
  { method, body, onBytes }: Sending,
  heard: () => void,
): { readonly method: string; readonly body: string | Blob } {
  if (typeof body === 'string') return { method, body };
  const onChunk = (bytes: number): void => {
    heard();
    onBytes?.(bytes);
  };
  return { method, body: new MeteredBlob(body, onChunk) };
}

async function* readBody(
  response: Response,
  url: URL,
  { request, open: { watch } }: { request: HubRequest; open: Opening },
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) {
      watch.heard();
      yield chunk as Uint8Array;
    }
  } catch (error) {
    request.signal.throwIfAborted();
    throw connectionError(error, url.href);
  } finally {
    watch.end();
  }
}

/** Gives a request up when its server has been silent for too long. */
function silenceWatch(stop: AbortController, timeoutMs: number): Watchdog {
  return new Watchdog(timeoutMs, () =>
    stop.abort(new PassingError(`nothing was heard for ${timeoutMs / 1000} s`, null)),
  );
}

/** @throws HubError HUB_RESPONSE_INVALID for an address that is none, or leaves encryption */
function redirectTarget(from: URL, location: string): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from) : null;
  const isAllowed =
    target !== null &&
    (target.protocol === 'https:' || (target.protocol === 'http:' && from.protocol === 'http:'));
  if (isAllowed) return target;
  throw new HubError(
    'HUB_RESPONSE_INVALID',
    `${from.origin} redirects to ${target === null ? 'no address' : `${target.protocol}//${target.host}`}, which is not followed`,
  );
}

function connectionError(error: unknown, address: string): PassingError {
  if (error instanceof PassingError)
    return new PassingError(`${new URL(address).origin}: ${error.message}`, null);
  const { cause, message } = error as Error;
  const reason = cause instanceof Error ? cause.message || String(cause) : message;
  return new PassingError(`${new URL(address).origin} cannot be reached: ${reason}`, null, {
    cause: error,
  });
}
