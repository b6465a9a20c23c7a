import type { ChatModel } from '../model.js';
import { readChatRequest, readTextRequest, type AskedAnswer } from './answer-request.js';

const blind: ChatModel = {
  ...{ id: 'tuned', takesImages: false, fetchesImages: false },
  answer: () => Promise.reject(new Error('not asked')),
};
const seeing: ChatModel = { ...blind, takesImages: true };
const messages = [{ role: 'user', content: 'Hi' }];
const read = (body: object, model = blind): AskedAnswer =>
  readChatRequest({ messages, ...body }, model);
const refusalOf = (act: () => unknown): unknown => {
  try {
    return act();
  } catch (error) {
    return { ...(JSON.parse(JSON.stringify(error)) as { error: object }).error };
  }
};
const image = (url: unknown): object => ({
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
});

describe('a request for an answer', () => {
  it('says how the answer is made', () => {
    const sampling = {
      ...{ max_tokens: 9, temperature: 0.5, top_p: 0.9, seed: 3 },
      stop: ['END', '\n\n'],
    };
    expect(read({ ...sampling, model: 'tuned', stream: true })).toEqual({
      question: { kind: 'conversation', messages, templateArguments: null },
      sampling: { maxTokens: 9, temperature: 0.5, topP: 0.9, seed: 3, stops: ['END', '\n\n'] },
      ...{ isStreamed: true, includesUsage: false },
    });
  });

  it('leaves to the model what it does not say', () => {
    const nothing = { max_tokens: null, temperature: null, stop: null, stream: null, n: null };
    for (const body of [{}, nothing])
      expect(read(body)).toMatchObject({
        sampling: { maxTokens: null, temperature: null, topP: null, seed: null, stops: [] },
        ...{ isStreamed: false, includesUsage: false },
      });
  });

  it('has the newer name of a parameter, too', () => {
    expect(read({ max_completion_tokens: 5 }).sampling.maxTokens).toBe(5);
    expect(read({ max_completion_tokens: 5, max_tokens: 5 }).sampling.maxTokens).toBe(5);
  });

  it('may have what asks for nothing, and what is of no account', () => {
    const asked = {
      n: 1,
      logprobs: false,
      tools: [],
      response_format: { type: 'text' },
      top_k: -1,
    };
    expect(() => read({ ...asked, user: 'u', metadata: { a: 1 }, store: false })).not.toThrow();
  });

  it.each([
    [{ n: 2 }, 'n'],
    [{ tools: [{ type: 'function' }] }, 'tools'],
    [{ response_format: { type: 'json_object' } }, 'response_format'],
    [{ logprobs: true }, 'logprobs'],
    [{ frequency_penalty: 0.5 }, 'frequency_penalty'],
    [{ logit_bias: { 5: 1 } }, 'logit_bias'],
    [{ top_k: 40 }, 'top_k'],
    [{ temperature: -1 }, 'temperature'],
    [{ temperature: '1' }, 'temperature'],
    [{ top_p: 0 }, 'top_p'],
    [{ top_p: 1.1 }, 'top_p'],
    [{ seed: -1 }, 'seed'],
    [{ seed: 1.5 }, 'seed'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: 1e300 }, 'max_tokens'],
    [{ max_tokens: 5, max_completion_tokens: 6 }, 'max_tokens'],
    [{ stop: '' }, 'stop'],
    [{ stop: [1] }, 'stop'],
    [{ stop: Array.from({ length: 17 }, () => 'a') }, 'stop'],
    [{ stop: 'a'.repeat(1001) }, 'stop'],
    [{ stream: 'yes' }, 'stream'],
    [{ stream_options: { include_usage: true } }, 'stream_options'],
    [{ messages: null }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: 'Hi' }, 'messages'],
    [{ messages: ['Hi'] }, 'messages[0]'],
    [{ messages: [{ content: 'Hi' }] }, 'messages[0].role'],
    [{ messages: [...messages, { role: 'user' }] }, 'messages[1].content'],
    [{ messages: [{ role: 'user', content: [] }] }, 'messages[0].content'],
    [{ messages: [{ role: 'user', content: [{ type: 'file' }] }] }, 'messages[0].content[0].type'],
    [{ chat_template_kwargs: [] }, 'chat_template_kwargs'],
    [image('data:image/png;base64,AA=='), 'messages[0].content[0].image_url'],
  ])('is refused by name: %j', (body, param) => {
    expect(refusalOf(() => read(body))).toMatchObject({
      ...{ type: 'invalid_request_error', param },
      message: expect.stringContaining(param),
    });
  });

  it('is refused for another model, and where it is no object', () => {
    expect(refusalOf(() => read({ model: 'gpt-4o' }))).toMatchObject({ code: 'model_not_found' });
    for (const body of [null, [], 'Hi', 3])
      expect(refusalOf(() => readChatRequest(body, blind))).toMatchObject({ param: null });
  });

  it('is not taken in by names of the language', () => {
    const body = JSON.parse('{"__proto__":{"n":2},"constructor":1}') as object;
    expect(() => readChatRequest({ messages, ...body }, blind)).not.toThrow();
  });
});

describe('messages', () => {
  it('have texts in parts as one text', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];
    expect(read({ messages: [{ role: 'user', content, name: 'n' }] }).question).toMatchObject({
      messages: [{ role: 'user', content: 'a\nb', name: 'n' }],
    });
  });

  it('show images that they bring themselves, and nothing that is a file or elsewhere', () => {
    const url = 'data:image/png;base64,AA==';
    const content = [
      { type: 'image_url', image_url: { url, detail: 'low' }, path: '/etc/passwd' },
      { type: 'text', text: 'What?' },
    ];
    expect(read({ messages: [{ role: 'user', content }] }, seeing).question).toMatchObject({
      messages: [{ content: [{ type: 'image_url', image_url: { url } }, content[1]] }],
    });
    for (const other of [
      '/etc/passwd',
      'file:///etc/passwd',
      'http://a/b.png',
      'data:text/html,a',
      3,
    ])
      expect(refusalOf(() => read(image(other), seeing))).toMatchObject({
        param: 'messages[0].content[0].image_url',
      });
    const fetching = { ...seeing, fetchesImages: true };
    expect(() => read(image('https://a/b.png'), fetching)).not.toThrow();
    expect(() => read(image('ftp://a/b.png'), fetching)).toThrow(/http or https/);
  });

  it('may lack text where the assistant called a tool', () => {
    const called = { role: 'assistant', content: null, tool_calls: [{ id: 'a' }] };
    expect(read({ messages: [...messages, called] }).question).toMatchObject({
      messages: [messages[0], called],
    });
  });
});

describe('a request to go on with a text', () => {
  it('has one text', () => {
    for (const prompt of ['Once', ['Once']])
      expect(readTextRequest({ prompt, max_tokens: 3 }, blind)).toMatchObject({
        ...{ question: { kind: 'text', text: 'Once' }, sampling: { maxTokens: 3 } },
      });
  });

  it.each([[{}], [{ prompt: ['a', 'b'] }], [{ prompt: [1, 2] }], [{ prompt: 5 }]])(
    'is refused with %j',
    (body) => {
      expect(refusalOf(() => readTextRequest(body, blind))).toMatchObject({ param: 'prompt' });
    },
  );

  it.each([
    [{ echo: true }, 'echo'],
    [{ suffix: 'a' }, 'suffix'],
    [{ best_of: 2 }, 'best_of'],
    [{ logprobs: 3 }, 'logprobs'],
  ])('is refused by name: %j', (body, param) => {
    expect(refusalOf(() => readTextRequest({ prompt: 'a', ...body }, blind))).toMatchObject({
      param,
    });
  });
});
