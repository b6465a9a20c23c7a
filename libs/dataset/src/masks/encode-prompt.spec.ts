import { tokenizerWith as exampleWith } from '../../test/model-folder.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import { answerEndIds, encodePrompt } from './encode-prompt.js';

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
