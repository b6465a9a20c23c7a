import { tokenizerWith as exampleWith } from '../../test/model-folder.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import { answerEndIds, encodeConversation, encodePrompt, encodeText } from './encode-prompt.js';

const chatml =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** The tokenizer of the example model with a template; null: without one. */
function tokenizerWith(
  template: string | null,
  files: Readonly<Record<string, object>> = {},
): Promise<ChatTokenizer> {
  return exampleWith({ ...(template !== null && { 'chat_template.jinja': template }), ...files });
}

describe('a prompt', () => {
  it('is the conversation with the generation prompt', async () => {
    const tokenizer = await tokenizerWith(chatml);
    const text = async (system: string | null) =>
      tokenizer.decode((await encodePrompt({ text: 'Hi', system }, tokenizer)).ids);
    const asked = '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n';
    expect(await text(null)).toBe(asked);
    expect(await text('Be brief')).toBe(`<|im_start|>system\nBe brief<|im_end|>\n${asked}`);
  });

  it('is the text itself without a template', async () => {
    const tokenizer = await tokenizerWith(null);
    const { ids } = await encodePrompt({ text: 'Once upon', system: null }, tokenizer);
    expect(tokenizer.decode(ids)).toBe('Once upon');
    await expect(encodePrompt({ text: 'Hi', system: 'Be brief' }, tokenizer)).rejects.toMatchObject(
      { code: 'DATASET_INVALID_ROW' },
    );
  });

  it('is refused with what the template says', async () => {
    const tokenizer = await tokenizerWith("{{ raise_exception('no ' + messages[0].role) }}");
    await expect(encodePrompt({ text: 'Hi', system: null }, tokenizer)).rejects.toMatchObject({
      message: expect.stringMatching(/the prompt: the chat template refuses the conversation/),
      messageForOwner: expect.stringMatching(/no user/),
    });
  });
});

describe('a conversation', () => {
  const turn = (role: string, content: unknown): object => ({ role, content });
  const refused = async (
    messages: readonly unknown[],
    template: string | null = chatml,
  ): Promise<unknown> =>
    encodeConversation({ messages, templateArguments: null }, await tokenizerWith(template)).catch(
      (error: unknown) => error,
    );

  it('is what the template makes of its turns, with the generation prompt', async () => {
    const tokenizer = await tokenizerWith(
      `${chatml}{% if enable_thinking is defined %}{{ enable_thinking }}{% endif %}`,
    );
    const messages = [turn('system', 'Be brief'), turn('user', 'Hi'), turn('assistant', 'Ho')];
    const asked = { messages: [...messages, turn('user', 'And?')], templateArguments: null };
    const { ids } = await encodeConversation(asked, tokenizer);
    const text =
      '<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n' +
      '<|im_start|>assistant\nHo<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n' +
      '<|im_start|>assistant\n';
    expect(tokenizer.decode(ids)).toBe(text);
    const templateArguments = { enable_thinking: false };
    const more = await encodeConversation({ ...asked, templateArguments }, tokenizer);
    expect(tokenizer.decode(more.ids)).toBe(`${text}False`);
  });

  it('is refused with the field that is wrong', async () => {
    expect(await refused([turn('user', 'Hi'), turn('boss', 'Go')])).toMatchObject({
      code: 'DATASET_INVALID_ROW',
      message: expect.stringMatching(/^the conversation: messages\[1\]\.role must be one of/),
      problems: [{ field: 'messages[1].role' }],
    });
    expect(await refused([])).toMatchObject({ problems: [{ field: 'messages' }] });
    expect(await refused([turn('user', '\ud800')])).toMatchObject({
      problems: [{ field: 'messages[0].content' }],
    });
    expect(await refused([turn('user', 'Hi')], null)).toMatchObject({
      message: expect.stringContaining('need a chat template'),
    });
  });
});

test('a text is gone on with as it is, whatever the template', async () => {
  const tokenizer = await tokenizerWith(chatml);
  expect(tokenizer.decode((await encodeText('Once upon', tokenizer)).ids)).toBe('Once upon');
});

describe('an answer ends', () => {
  const named = { 'tokenizer_config.json': { eos_token: '<|endoftext|>' } };
  const idsOf = (tokenizer: ChatTokenizer, ...tokens: readonly string[]) =>
    tokens.map((token) => tokenizer.encode(token).ids[0] ?? -1);

  it('where the template ends a turn, and at the token that the folder names', async () => {
    const tokenizer = await tokenizerWith(chatml, named);
    expect([...answerEndIds(tokenizer)].sort()).toEqual(
      idsOf(tokenizer, '<|im_end|>', '<|endoftext|>').sort(),
    );
  });

  it('where generation_config.json lists ids', async () => {
    const tokenizer = await tokenizerWith(null, {
      ...named,
      'generation_config.json': { eos_token_id: [2, 5] },
    });
    expect([...answerEndIds(tokenizer)]).toEqual([...idsOf(tokenizer, '<|endoftext|>'), 2, 5]);
  });

  it('at the named token alone where a template ends turns by none, or refuses them', async () => {
    for (const template of [
      '{% for message in messages %}{{ message.content }}\n{% endfor %}',
      "{{ raise_exception('no') }}",
    ]) {
      const tokenizer = await tokenizerWith(template, named);
      expect([...answerEndIds(tokenizer)]).toEqual(idsOf(tokenizer, '<|endoftext|>'));
    }
  });
});
