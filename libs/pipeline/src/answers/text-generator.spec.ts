import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { cpuTarget, tinyModel } from '../../test/fixtures.js';
import { generateText } from '../generate.js';
import { resolveChatOptions, resolveGenerateOptions } from '../options/resolve.js';
import { withTextGenerator, type TextGenerator } from './text-generator.js';

const date = '2026-01-31';
const greedy = { temperature: 0, topP: 1, seed: 0 };

type Given = Partial<Parameters<typeof resolveChatOptions>[0]>;

function opened<T>(use: (generator: TextGenerator) => Promise<T>, given: Given = {}): Promise<T> {
  const options = resolveChatOptions({ model: tinyModel, date, ...given });
  return withTextGenerator(options, { target: cpuTarget() }, use);
}

const user = (content: unknown): object => ({ role: 'user', content });

/** The answer to a conversation of texts, by turns. */
async function ask(
  generator: TextGenerator,
  messages: readonly unknown[],
  settings: Partial<Parameters<TextGenerator['answer']>[1]> = {},
  signal?: AbortSignal,
): Promise<Awaited<ReturnType<TextGenerator['answer']>> & { readonly parts: string[] }> {
  const prompt = await generator.encodeConversation({ messages, templateArguments: null });
  const parts: string[] = [];
  const answer = await generator.answer(
    prompt,
    { maxNewTokens: 16, sampling: greedy, stops: [], ...settings },
    { onText: (part) => parts.push(part), ...(signal && { signal }) },
  );
  return { ...answer, parts };
}

describe('a model that stays opened', () => {
  it('answers as it does to one prompt, again and again, with few weights on the device, too', async () => {
    const sampling = { temperature: 0.8, topP: 0.9, seed: 7 };
    const prompt = 'Name five birds.';
    const once = await generateText(
      resolveGenerateOptions({ model: tinyModel, date, prompt, maxNewTokens: 16, ...sampling }),
      { target: cpuTarget() },
    );
    const twice = async (generator: TextGenerator): Promise<number> => {
      for (let turn = 0; turn < 2; turn += 1) {
        const { text, parts, ...answer } = await ask(generator, [user(prompt)], { sampling });
        expect([text, parts.join('')]).toEqual([once.text, once.text]);
        expect(answer).toMatchObject({ promptTokens: once.promptTokens, tokens: once.tokens });
      }
      expect(generator.peakDeviceBytes).toBeLessThanOrEqual(generator.budgetBytes);
      return generator.budgetBytes;
    };
    const budgetBytes = await opened(twice, { context: 128 });
    await opened(twice, { context: 128, vramBytes: Math.floor(budgetBytes * 0.7) });
  });

  it('ends an answer at a signal, and answers the next', async () => {
    await opened(async (generator) => {
      const whole = await ask(generator, [user('Who?')]);
      const abort = new AbortController();
      const prompt = await generator.encodeConversation({
        ...{ messages: [user('Who?')], templateArguments: null },
      });
      const settings = { maxNewTokens: 200, sampling: greedy, stops: [] };
      let parts = 0;
      const stopped = generator.answer(prompt, settings, {
        ...{ signal: abort.signal },
        onText: () => {
          parts += 1;
          if (parts === 2) abort.abort(new Error('enough'));
        },
      });
      await expect(stopped).rejects.toThrow('enough');
      expect(parts).toBe(2);
      expect((await ask(generator, [user('Who?')])).text).toBe(whole.text);
      await expect(
        ask(generator, [user('Who?')], {}, AbortSignal.abort(new Error('at once'))),
      ).rejects.toThrow('at once');
    });
  });

  it('ends an answer before a stop text, which counts as its end', async () => {
    await opened(async (generator) => {
      const { text } = await ask(generator, [user('Who?')]);
      const stop = text.slice(6, 11);
      const stopped = await ask(generator, [user('Who?')], { stops: ['\u0000', stop] });
      expect(stopped).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish: 'stop' });
      expect(stopped.tokens).toBeLessThan(16);
    });
  });

  it('has no more tokens than its context, and is refused what leaves none to an answer', async () => {
    await opened(
      async (generator) => {
        expect(generator.contextTokens).toBe(64);
        const most = await ask(generator, [user('Who?')], { maxNewTokens: 1000 });
        expect([most.finish, most.promptTokens + most.tokens]).toEqual(['length', 64]);
        await expect(ask(generator, [user('word '.repeat(64))])).rejects.toMatchObject({
          code: 'PIPELINE_CONTEXT_EXCEEDED',
          message: expect.stringMatching(/has \d+ tokens .* the context 64/),
        });
      },
      { context: 64 },
    );
  });

  it('goes on with a text as it is', async () => {
    await opened(async (generator) => {
      const prompt = await generator.encodeText('Once upon a time');
      const { promptTokens } = await generator.answer(
        prompt,
        { maxNewTokens: 2, sampling: greedy, stops: [] },
        { onText: () => undefined },
      );
      expect(promptTokens).toBe(prompt.ids.length);
      const conversation = await generator.encodeConversation({
        ...{ messages: [user('Once upon a time')], templateArguments: null },
      });
      expect(prompt.ids.length).toBeLessThan(conversation.ids.length);
    });
  });

  it('is not opened where its longest conversation does not fit, nor with more than its positions', async () => {
    const use = (): Promise<void> => Promise.reject(new Error('it was opened'));
    await expect(opened(use, { vramBytes: 2 ** 18 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringMatching(/answers do not fit .*; option context makes/),
    });
    await expect(opened(use, { context: 10_000 })).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringMatching(/^option context: 10000 given, at most the \d+ positions/),
    });
  });

  it('takes no images where it reads text alone', async () => {
    await opened(async (generator) => {
      expect(generator.takesImages).toBe(false);
      const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
      await expect(ask(generator, [user([image])])).rejects.toMatchObject({
        code: 'DATASET_INVALID_ROW',
        problems: [expect.objectContaining({ field: 'messages[0].content[0].type' })],
      });
    });
  });
});

describe('a model that takes images and stays opened', () => {
  const example = (path: string): string =>
    fileURLToPath(new URL(`../../../../examples/images/${path}`, import.meta.url));

  it('sees those of a conversation as it sees files', async () => {
    const [line = ''] = (await readFile(example('data/train.jsonl'), 'utf8')).split('\n');
    const { images } = JSON.parse(line) as { readonly images: readonly string[] };
    const file = example(`data/${images[0]}`);
    const text = 'What is it?';
    const model = example('model');
    const options = { model, date, maxNewTokens: 12 };
    const once = await generateText(
      resolveGenerateOptions({ ...options, prompt: text, images: [file] }),
      { target: cpuTarget() },
    );
    const url = `data:image/png;base64,${(await readFile(file)).toString('base64')}`;
    const shown = { type: 'image_url', image_url: { url } };
    const content = [shown, { type: 'text', text }];
    const answers = async (generator: TextGenerator): Promise<number> => {
      expect(generator.takesImages).toBe(true);
      const blind = await ask(generator, [user(text)], { maxNewTokens: 12 });
      const seeing = await ask(generator, [user(content)], { maxNewTokens: 12 });
      expect([seeing.text, seeing.promptTokens]).toEqual([once.text, once.promptTokens]);
      expect(blind.promptTokens).toBeLessThan(seeing.promptTokens);
      const path = { type: 'image_url', image_url: { url: file } };
      await expect(ask(generator, [user([path])])).rejects.toMatchObject({
        code: 'DATASET_INVALID_ROW',
        message: expect.stringContaining('must be a data URL, not a file'),
      });
      expect(generator.peakDeviceBytes).toBeLessThanOrEqual(generator.budgetBytes);
      return generator.budgetBytes;
    };
    const budgetBytes = await opened(answers, { model, context: 200 });
    await opened(answers, { model, context: 200, vramBytes: Math.floor(budgetBytes * 0.9) });
  });
});
