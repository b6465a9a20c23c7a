import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { until } from '@emloc/time/testing';

import { RequestRefusal } from './errors.js';
import type { Answered, AnswerListener, AnswerRequest, ChatModel } from './model.js';
import type { EndedRequest } from './observer.js';
import { startChatServer, type ChatServer, type ChatServerOptions } from './server.js';

const chatPath = '/v1/chat/completions';

/** A model that says what it is told to say, part by part, when it is told to. */
class Speaker implements ChatModel {
  readonly id = 'tuned';
  readonly takesImages = false;
  readonly fetchesImages = false;
  readonly asked: AnswerRequest[] = [];
  readonly ended: (Answered | Error)[] = [];
  parts: readonly string[] = ['Hel', 'lo'];
  /** Awaited before each part. */
  gate: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  refusal: Error | null = null;

  async answer(request: AnswerRequest, listener: AnswerListener): Promise<Answered> {
    this.asked.push(request);
    try {
      const answered = await this.#speak(listener);
      this.ended.push(answered);
      return answered;
    } catch (error) {
      this.ended.push(error as Error);
      throw error;
    }
  }

  async #speak({ onStart, onText, signal }: AnswerListener): Promise<Answered> {
    if (this.refusal) throw this.refusal;
    onStart();
    for (const part of this.parts) {
      await this.gate(signal);
      signal.throwIfAborted();
      onText(part);
    }
    return { promptTokens: 3, tokens: this.parts.length, finish: 'stop' };
  }
}

let model: Speaker;
let server: ChatServer | null = null;
let ended: EndedRequest[];
let failures: unknown[];

beforeEach(() => {
  model = new Speaker();
  [ended, failures] = [[], []];
});

afterEach(async () => {
  await server?.close();
  server = null;
});

async function start(options: Partial<ChatServerOptions> = {}): Promise<string> {
  server = await startChatServer({
    ...{ model, host: '127.0.0.1', port: 0, apiKey: null, ...options },
    observer: {
      requestEnded: (request) => ended.push(request),
      failed: (error) => failures.push(error),
    },
  });
  return server.url.replace(/\/v1$/, '');
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly json: () => { readonly error?: Record<string, unknown> } & Record<string, unknown>;
}

const hi = { messages: [{ role: 'user', content: 'Hi' }] };

function send(
  url: string,
  {
    method = 'POST',
    body = hi,
    headers = {},
    signal,
  }: {
    method?: string;
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
  } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = method === 'GET' ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const type = { 'content-type': 'application/json' };
    const request = httpRequest(
      url,
      { method, headers: { ...type, ...headers }, signal },
      (got) => {
        let text = '';
        got.setEncoding('utf8').on('data', (part: string) => (text += part));
        got.on('end', () =>
          resolve({
            ...{ status: got.statusCode ?? 0, headers: got.headers, text },
            json: () => JSON.parse(text) as ReturnType<Reply['json']>,
          }),
        );
        got.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(sent);
  });
}

/** The documents of a stream of events, and whether it says that it lacks nothing. */
function eventsOf(text: string): { readonly events: unknown[]; readonly isDone: boolean } {
  const data = text.split('\n\n').flatMap((event) => (event === '' ? [] : [event.slice(6)]));
  const isDone = data.at(-1) === '[DONE]';
  const events = (isDone ? data.slice(0, -1) : data).map((each) => JSON.parse(each) as unknown);
  return { events, isDone };
}

describe('a server of answers', () => {
  it('gives a whole answer to a conversation', async () => {
    const url = await start();
    const reply = await send(`${url}${chatPath}`);
    expect(reply.status).toBe(200);
    expect(reply.json()).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'tuned',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    });
    expect(Object.keys(reply.headers).filter((name) => /access-control/.test(name))).toEqual([]);
    expect(ended).toEqual([
      {
        ...{ route: `POST ${chatPath}`, status: 200, seconds: expect.any(Number) },
        answered: { promptTokens: 3, tokens: 2, finish: 'stop' },
      },
    ]);
  });

  it('streams an answer as it is made', async () => {
    const url = await start();
    const options = { stream: true, stream_options: { include_usage: true } };
    const { headers, text } = await send(`${url}${chatPath}`, { body: { ...hi, ...options } });
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8');
    const { events, isDone } = eventsOf(text);
    expect(isDone).toBe(true);
    const choice = (delta: object, reason: string | null = null): object => ({
      ...{ object: 'chat.completion.chunk', model: 'tuned' },
      choices: [{ index: 0, delta, finish_reason: reason, logprobs: null }],
    });
    expect(events).toMatchObject([
      choice({ role: 'assistant', content: '' }),
      choice({ content: 'Hel' }),
      choice({ content: 'lo' }),
      choice({}, 'stop'),
      { choices: [], usage: { total_tokens: 5 } },
    ]);
    expect(new Set(events.map((event) => (event as { id: string }).id)).size).toBe(1);
  });

  it('goes on with texts', async () => {
    const url = await start();
    const body = { prompt: 'Once' };
    expect((await send(`${url}/v1/completions`, { body })).json()).toMatchObject({
      ...{ object: 'text_completion', choices: [{ text: 'Hello', finish_reason: 'stop' }] },
    });
    const { text } = await send(`${url}/v1/completions`, { body: { ...body, stream: true } });
    expect(eventsOf(text).events).toMatchObject([
      { choices: [{ text: 'Hel', finish_reason: null }] },
      { choices: [{ text: 'lo' }] },
      { choices: [{ text: '', finish_reason: 'stop' }] },
    ]);
  });

  it('says what it serves, and that it is there', async () => {
    const url = await start();
    expect((await send(`${url}/v1/models`, { method: 'GET' })).json()).toMatchObject({
      ...{ object: 'list', data: [{ id: 'tuned', object: 'model', owned_by: 'emloc' }] },
    });
    expect((await send(`${url}/health`, { method: 'GET' })).json()).toEqual({ status: 'ok' });
    expect(ended).toMatchObject([
      { route: 'GET /v1/models', status: 200, answered: null },
      { route: 'GET /health', status: 200 },
    ]);
  });

  it.each([
    ['an unknown path', 404, '/v2/models', { method: 'GET' }],
    ['a method', 405, chatPath, { method: 'GET' }],
    ['the question of a page elsewhere', 405, chatPath, { method: 'OPTIONS', body: '' }],
    ['a question to a list', 405, '/v1/models', {}],
    ['a type that pages may send', 415, chatPath, { headers: { 'content-type': 'text/plain' } }],
    ['what is compressed', 415, chatPath, { headers: { 'content-encoding': 'gzip' } }],
    ['a huge body', 413, chatPath, { headers: { 'content-length': String(2 ** 30) }, body: '' }],
    ['half of a body', 400, chatPath, { body: '{"messages": [' }],
    ['no body', 400, chatPath, { body: '' }],
    ['lists in lists', 400, chatPath, { body: `${'['.repeat(100)}${']'.repeat(100)}` }],
    ['very many values', 400, chatPath, { body: `{"a": [${'0,'.repeat(200_000)}0]}` }],
    ['what is not there', 400, chatPath, { body: { ...hi, n: 3 } }],
    ['another name', 403, chatPath, { headers: { host: 'evil.example' } }],
    ['a name like its own', 403, chatPath, { headers: { host: '127.0.0.1.evil.example:80' } }],
    ['an address', 403, '/health', { method: 'GET', headers: { host: '10.0.0.1' } }],
  ])("refuses in OpenAI's form %s: %i", async (_name, status, path, options) => {
    const url = await start();
    const reply = await send(`${url}${path}`, options);
    expect(reply.status).toBe(status);
    expect(reply.json()).toMatchObject({
      error: { message: expect.any(String), type: 'invalid_request_error' },
    });
    expect(model.asked).toEqual([]);
    expect(failures).toEqual([]);
  });

  it('refuses a body that grows beyond all measure while it is sent', async () => {
    const url = await start();
    const body = JSON.stringify({ ...hi, user: 'x'.repeat(33 * 2 ** 20) });
    const headers = { 'transfer-encoding': 'chunked' };
    // What is still sent when it is refused may end the connection first.
    const status = await send(`${url}${chatPath}`, { body, headers }).then(
      (reply) => reply.status,
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect([413, 'ECONNRESET', 'EPIPE']).toContain(status);
    expect(model.asked).toEqual([]);
  });

  it.each(['localhost', 'LOCALHOST:80', '127.0.0.1:1', '[::1]:8080', 'a.localhost'])(
    'is called %s',
    async (host) => {
      const url = await start();
      expect((await send(`${url}${chatPath}`, { headers: { host } })).status).toBe(200);
    },
  );

  it('tells what the model refuses, and of other errors their code alone', async () => {
    const url = await start();
    model.refusal = new RequestRefusal('too long', { param: 'messages', code: 'context' });
    for (const stream of [false, true]) {
      const reply = await send(`${url}${chatPath}`, { body: { ...hi, stream } });
      expect([reply.status, reply.json().error]).toEqual([
        400,
        { message: 'too long', type: 'invalid_request_error', param: 'messages', code: 'context' },
      ]);
    }
    model.refusal = Object.assign(new Error('/home/me/secret'), { code: 'DEVICE_LOST' });
    const reply = await send(`${url}${chatPath}`);
    expect([reply.status, reply.json().error?.['code']]).toEqual([500, 'DEVICE_LOST']);
    expect(reply.text).not.toContain('secret');
    expect(failures).toEqual([model.refusal]);
  });

  it('ends a stream with the error that came in its midst', async () => {
    const url = await start();
    let parts = 0;
    model.gate = () => {
      parts += 1;
      return parts === 2 ? Promise.reject(new Error('broken')) : Promise.resolve();
    };
    const { text } = await send(`${url}${chatPath}`, { body: { ...hi, stream: true } });
    const { events, isDone } = eventsOf(text);
    expect(isDone).toBe(false);
    expect(events.at(-1)).toMatchObject({ error: { type: 'server_error' } });
  });
});

describe('requests at the same time', () => {
  /** Opened by the test, for every part that the model says. */
  function gated(): () => void {
    const waiting: (() => void)[] = [];
    let isOpen = false;
    model.gate = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve());
        if (isOpen) resolve();
        else waiting.push(resolve);
      });
    return () => {
      isOpen = true;
      for (const resolve of waiting.splice(0)) resolve();
    };
  }

  it('wait for each other, but no more than may', async () => {
    const url = await start({ mostWaiting: 1 });
    const open = gated();
    const first = send(`${url}${chatPath}`);
    await until(() => model.asked.length === 1, 'the first question');
    const others = [send(`${url}${chatPath}`), send(`${url}${chatPath}`)];
    const refused = await Promise.race(others);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    expect(model.asked).toHaveLength(1);
    open();
    expect((await first).status).toBe(200);
    const all = await Promise.all(others);
    expect(all.map(({ status }) => status).sort()).toEqual([200, 503]);
    expect(model.asked).toHaveLength(2);
  });

  it('end when their client goes away', async () => {
    const url = await start();
    const open = gated();
    const client = new AbortController();
    const body = { ...hi, stream: true };
    const leaving = send(`${url}${chatPath}`, { body, signal: client.signal });
    await until(() => model.asked.length === 1, 'the question');
    client.abort();
    await expect(leaving).rejects.toThrow();
    await until(() => model.ended.length === 1, 'the end of the answer');
    open();
    expect((await send(`${url}${chatPath}`)).status).toBe(200);
    expect(model.ended).toMatchObject([{ name: 'ClientGoneError' }, { promptTokens: 3 }]);
    expect(ended.map(({ status }) => status)).toEqual([null, 200]);
    expect(failures).toEqual([]);
  });

  it('are cut when the server ends', async () => {
    const url = await start();
    gated();
    const asking = send(`${url}${chatPath}`);
    await until(() => model.asked.length === 1, 'the question');
    const cut = expect(asking).rejects.toThrow();
    await server?.close();
    expect(model.ended).toMatchObject([{ message: 'the server ends' }]);
    await cut;
    expect(failures).toEqual([]);
  });
});

describe('who may ask', () => {
  it('is who shows the key, whatever the server is called', async () => {
    const url = await start({ apiKey: 'a-key' });
    const headers = { host: 'models.example' };
    const authorization = 'Bearer a-key';
    expect(
      (await send(`${url}${chatPath}`, { headers: { ...headers, authorization } })).status,
    ).toBe(200);
    for (const wrong of [
      { authorization: '' },
      { authorization: 'Bearer a-ke' },
      { authorization: 'a-key' },
    ]) {
      const reply = await send(`${url}${chatPath}`, { headers: { ...headers, ...wrong } });
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      expect(reply.json()).toMatchObject({ error: { code: 'invalid_api_key' } });
    }
    expect((await send(`${url}/v1/models`, { method: 'GET' })).status).toBe(401);
    expect((await send(`${url}/health`, { method: 'GET' })).status).toBe(200);
  });

  it.each(['0.0.0.0', '::', '192.168.1.5', 'example.com'])(
    'is told for %s, which others reach',
    async (host) => {
      await expect(start({ host })).rejects.toMatchObject({ code: 'CHAT_SERVER_INVALID_OPTION' });
    },
  );

  it('is no key that cannot be sent', async () => {
    for (const apiKey of ['', 'two words', 'schlüssel'])
      await expect(start({ apiKey })).rejects.toMatchObject({
        code: 'CHAT_SERVER_INVALID_OPTION',
      });
  });
});

it('says where it cannot listen', async () => {
  await start();
  const port = server?.port ?? 0;
  await expect(
    startChatServer({ model, host: '127.0.0.1', port, apiKey: null }),
  ).rejects.toMatchObject({
    code: 'CHAT_SERVER_LISTEN_FAILED',
    message: `cannot listen on 127.0.0.1, port ${port}: another program listens there`,
  });
});

it('lives on after what is no HTTP', async () => {
  const url = await start();
  const socket = connect(server?.port ?? 0, '127.0.0.1');
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(`GET /${'a'.repeat(40_000)} HTTP/1.1\r\n\r\n\u0000\u0001`);
  await closed;
  expect((await send(`${url}/health`, { method: 'GET' })).status).toBe(200);
});
