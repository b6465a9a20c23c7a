import { HubError } from './errors.js';
import type { HubClient, HubRequest } from './hub-client.js';
import { PassingError, retried, type RetryPolicy } from './retry.js';

/** How a hub is spoken to. */
interface Speaking {
  readonly client: HubClient;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
}

interface SendObserver {
  /** Bytes of a file that have been taken for the network; negative where they are sent again. */
  onBytes(bytes: number): void;
}

/** Headers that say what is sent and asked for; all others are the client's own. */
const passedOn: readonly string[] = ['accept', 'content-type'];
/** A page of a listing has at most 1000 files. */
const mostAnswerBytes = 64 * 2 ** 20;

/**
 * `fetch` for the package: through the client, which has the token, tried again, and it throws
 * where an answer is no success.
 * @param model what is spoken of, for messages
 */
export function hubFetch(
  model: string,
  { client, policy, signal }: Speaking,
  observer?: SendObserver,
): typeof fetch {
  return (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = headersOf(init);
    const stop = init?.signal ? AbortSignal.any([signal, init.signal]) : signal;
    let bytes = 0;
    const onBytes = (more: number): void => {
      bytes += more;
      observer?.onBytes(more);
    };
    return retried(
      model,
      () => {
        if (bytes > 0) onBytes(-bytes);
        const send = sendingOf(init, onBytes);
        return readAnswer(client, { url, model, file: null, signal: stop, headers, send });
      },
      { policy, signal: stop },
    );
  };
}

function headersOf(init: RequestInit | undefined): Record<string, string> {
  const given = new Headers(init?.headers);
  const kept = passedOn.flatMap((name) => {
    const value = given.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  const isAsking = init?.method === undefined || init.method === 'GET';
  return { ...(isAsking ? { accept: 'application/json' } : {}), ...Object.fromEntries(kept) };
}

function sendingOf(
  init: RequestInit | undefined,
  onBytes: (bytes: number) => void,
): HubRequest['send'] {
  const { method = 'GET', body } = init ?? {};
  if (method === 'GET') return undefined;
  const isSent = method === 'POST' || method === 'PUT';
  if (!isSent || !(typeof body === 'string' || body instanceof Blob))
    throw new TypeError(`${method} with such a body is not known to be sent to a hub`);
  return { method, body, onBytes };
}

async function readAnswer(client: HubClient, request: HubRequest): Promise<Response> {
  const answer = await client.open(request);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of answer.body()) {
      parts.push(part);
      bytes += part.length;
      if (bytes > mostAnswerBytes)
        throw new HubError(
          'HUB_RESPONSE_INVALID',
          `${request.model}: an answer of more than ${mostAnswerBytes} bytes`,
        );
    }
  } finally {
    answer.close();
  }
  const announced = Number(answer.header('content-length') ?? bytes);
  if (announced > bytes)
    throw new PassingError(`an answer was cut off after ${bytes} of ${announced} bytes`, null);
  return new Response(Buffer.concat(parts), {
    headers: kept(answer.header('link'), answer.header('etag')),
  });
}

function kept(link: string | null, etag: string | null): Record<string, string> {
  return { ...(link === null ? {} : { link }), ...(etag === null ? {} : { etag }) };
}
