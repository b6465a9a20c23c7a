import { exampleModel, textOptions, tokenizerWith } from '../../test/model-folder.js';
import { processorMs } from '../../test/processor-time.js';
import { parseRow } from '../rows/row.js';
import { loadTokenizer, type ChatTokenizer } from '../templates/chat-tokenizer.js';
import { encodeRow } from './encode-row.js';
import type { EncodedText } from './encoded-text.js';

const header = "{{ '<|im_start|>' + m.role + '\\n' }}";
const prompt = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const loop = (body: string): string => `{% for m in messages %}${body}{% endfor %}`;

const withTemplate = (template: string): Promise<ChatTokenizer> =>
  tokenizerWith({
    'chat_template.jinja': template,
    'tokenizer_config.json': { eos_token: '<|im_end|>' },
  });
const chatMl = (): Promise<ChatTokenizer> => loadTokenizer(exampleModel('demo-5m'), textOptions);

const encode = (row: object, tokenizer: ChatTokenizer): readonly EncodedText[] =>
  encodeRow(parseRow(JSON.stringify(row), { takesImages: false }), tokenizer);

/** The stretches of tokens that are trained on, as text, of each text that a row becomes. */
function trainedTexts(row: object, tokenizer: ChatTokenizer): string[][] {
  return encode(row, tokenizer).map(({ ids, trained }) => {
    expect(trained).toHaveLength(ids.length);
    const texts: string[] = [];
    for (let start = trained.indexOf(1); start >= 0;) {
      const end = trained.indexOf(0, start) < 0 ? ids.length : trained.indexOf(0, start);
      texts.push(tokenizer.decode(ids.slice(start, end)));
      start = trained.indexOf(1, end);
    }
    return texts;
  });
}

const chat = (...turns: readonly (readonly [role: string, content: unknown, more?: object])[]) => ({
  messages: turns.map(([role, content, more]) => ({ role, content, ...more })),
});
const twice = chat(['user', 'Hi'], ['assistant', 'Hello'], ['user', 'Bye'], ['assistant', 'Ciao']);

describe('a conversation', () => {
  it('is trained on in every assistant turn, with its end of turn and the line end after it', async () => {
    const tokenizer = await chatMl();
    const row = chat(
      ['system', 'Be short.'],
      ...twice.messages.map(({ role, content }) => [role, content] as const),
    );
    expect(trainedTexts(row, tokenizer)).toEqual([['Hello<|im_end|>\n', 'Ciao<|im_end|>\n']]);
    expect(encode(row, tokenizer)[0]?.text).toMatch(
      /^<\|im_start\|>system\nBe short\.<\|im_end\|>\n<\|im_start\|>user\n/,
    );
  });

  it('may go on after the last assistant turn, untrained', async () => {
    const row = chat(['user', 'Hi'], ['assistant', 'Hello'], ['user', 'Bye']);
    expect(trainedTexts(row, await chatMl())).toEqual([['Hello<|im_end|>\n']]);
  });

  it('is what prompt and completion stand for where there is a chat template', async () => {
    const tokenizer = await chatMl();
    expect(encode({ prompt: 'Hi', completion: 'Hello' }, tokenizer)).toEqual(
      encode(chat(['user', 'Hi'], ['assistant', 'Hello']), tokenizer),
    );
  });

  it('is learned from in its completion only where both are messages', async () => {
    const row = { prompt: twice.messages.slice(0, 3), completion: twice.messages.slice(3) };
    expect(trainedTexts(row, await chatMl())).toEqual([['Ciao<|im_end|>\n']]);
  });

  it('is trained on in a token that reaches across the border', async () => {
    const tokenizer = await withTemplate(loop('{{ m.content }}'));
    expect(trainedTexts(chat(['user', 'x '], ['assistant', 'return']), tokenizer)).toEqual([
      [' return'],
    ]);
  });

  it('is not trained on in what the generation prompt has in common with the turn', async () => {
    const thinking = `${loop(`${header}{{ m.content }}{{ '<|im_end|>' }}`)}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>' }}{% endif %}`;
    const tokenizer = await withTemplate(thinking);
    expect(trainedTexts(chat(['user', 'Hi'], ['assistant', 'Hello']), tokenizer)).toEqual([
      ['Hello<|im_end|>'],
    ]);
    expect(
      trainedTexts(chat(['user', 'Hi'], ['assistant', '<think>so</think>Hello']), tokenizer),
    ).toEqual([['so</think>Hello<|im_end|>']]);
  });

  it('is not trained on in a header where the prompt closes the turn before it, too', async () => {
    const tokenizer = await withTemplate(
      `${loop(`${header}{{ m.content }}{% if not loop.last or add_generation_prompt %}{{ '<|im_end|>\\n' }}{% endif %}`)}{% if add_generation_prompt and messages[-1].role != 'assistant' %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
    );
    const row = chat(['assistant', 'Yes?'], ['user', 'Hi'], ['assistant', 'Hello']);
    expect(trainedTexts(row, tokenizer)).toEqual([['Yes?<|im_end|>\n', 'Hello']]);
    const twoAnswers = chat(['user', 'Hi'], ['assistant', 'A'], ['assistant', 'B']);
    expect(trainedTexts(twoAnswers, tokenizer)).toEqual([['A<|im_end|>\n', 'B']]);
  });

  it.each([
    [
      'behind the last message only',
      `${loop(`{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}${header}{{ m.content + '<|im_end|>\\n' }}{% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`)}`,
    ],
    [
      'behind a user alone',
      `${loop(`${header}{{ m.content + '<|im_end|>\\n' }}`)}{% if add_generation_prompt and messages and messages[-1].role == 'user' %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
    ],
  ])('is not trained on in headers where the prompt stands %s', async (_, template) => {
    const row = chat(['assistant', 'Yes?'], ['user', 'Hi'], ['assistant', 'A'], ['assistant', 'B']);
    const [texts = []] = trainedTexts(row, await withTemplate(template));
    expect(texts).toEqual(['Yes?<|im_end|>\n', 'A<|im_end|>\n', 'B<|im_end|>\n']);
  });

  it('is not trained on in a tool result that is written with the call', async () => {
    const tokenizer = await withTemplate(
      `${loop(`{% if m.role != 'tool' %}${header}{{ m.content }}{% if not loop.last and loop.nextitem.role == 'tool' %}{{ loop.nextitem.content }}{% endif %}{{ '<|im_end|>\\n' }}{% endif %}`)}${prompt}`,
    );
    const row = chat(['user', 'Hi'], ['assistant', 'call'], ['tool', 'found'], ['user', 'Bye']);
    expect(trainedTexts(row, tokenizer).flat().join()).not.toContain('found');
  });

  it('stays one row where only what stands before an answer is written otherwise', async () => {
    const tokenizer = await withTemplate(
      `${loop(`${header}{{ m.content }}{% if m.role != 'tool' or not loop.last %}{{ '\\n' }}{% endif %}{{ '<|im_end|>' }}`)}${prompt}`,
    );
    const row = chat(['user', 'Hi'], ['tool', 'found'], ['assistant', 'Hello'], ['user', 'Bye']);
    expect(trainedTexts(row, tokenizer)).toEqual([['Hello\n<|im_end|>']]);
  });

  it('is not trained on in a header that no generation prompt tells of', async () => {
    const tokenizer = await withTemplate(loop("{{ m.role + ': ' + m.content + '<|im_end|>' }}"));
    expect(trainedTexts(twice, tokenizer)).toEqual([[' Hello<|im_end|>', ' Ciao<|im_end|>']]);
  });

  it('is not trained on in a default system prompt when the assistant begins', async () => {
    const tokenizer = await withTemplate(
      `${loop(`{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}${header}{{ m.content + '<|im_end|>\\n' }}`)}${prompt}`,
    );
    const row = chat(['assistant', 'Yes?'], ['user', 'Hi'], ['assistant', 'Hello']);
    expect(trainedTexts(row, tokenizer)).toEqual([['Yes?<|im_end|>\n', 'Hello<|im_end|>\n']]);
  });

  it('is used where the template refuses a part of it alone', async () => {
    const tokenizer = await withTemplate(
      `{% if messages|selectattr('role', 'equalto', 'user')|list|length == 0 %}{{ raise_exception('no user') }}{% endif %}${loop(`${header}{{ m.content + '<|im_end|>\\n' }}`)}${prompt}`,
    );
    const row = chat(['assistant', 'Yes?'], ['user', 'Hi'], ['assistant', 'Hello']);
    expect(trainedTexts(row, tokenizer)).toEqual([['Yes?<|im_end|>\n', 'Hello<|im_end|>\n']]);
  });

  it('says that a part was refused where nothing else tells the border', async () => {
    const tokenizer = await withTemplate(
      `{% if messages|length == 1 %}{{ raise_exception('too short') }}{% endif %}{{ messages|map(attribute='content')|join('<|im_end|>') }}`,
    );
    expect(() => encode(chat(['assistant', 'Hello'], ['user', 'Hi']), tokenizer)).toThrow(
      expect.objectContaining({
        field: 'messages[0]',
        reason: expect.stringContaining(
          'up to here rendered alone: the chat template refuses the conversation: too short',
        ) as string,
      }),
    );
  });

  it('ends with what the template puts after everything, in one row', async () => {
    const tokenizer = await withTemplate(
      `${loop(`${header}{{ m.content + '<|im_end|>\\n' }}`)}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% else %}{{ '<|endoftext|>' }}{% endif %}`,
    );
    expect(trainedTexts(twice, tokenizer)).toEqual([
      ['Hello<|im_end|>\n', 'Ciao<|im_end|>\n<|endoftext|>'],
    ]);
  });

  const forgetful = `{% set ns = namespace(last=-1) %}${loop("{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}")}${loop(
    `${header}{% if m.role == 'assistant' and loop.index0 < ns.last %}{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\\n' }}`,
  )}${prompt}`;

  it('becomes a row for each learned turn where the template rewrites earlier turns', async () => {
    const tokenizer = await withTemplate(forgetful);
    const thinking = chat(
      ['user', 'Hi'],
      ['assistant', '<think>a</think>Hello'],
      ['user', 'Bye'],
      ['assistant', '<think>b</think>Ciao'],
    );
    expect(trainedTexts(thinking, tokenizer)).toEqual([
      ['<think>a</think>Hello<|im_end|>\n'],
      ['<think>b</think>Ciao<|im_end|>\n'],
    ]);
    const [first, second] = encode(thinking, tokenizer);
    expect(first?.text).not.toContain('Bye');
    expect(second?.text).toContain('<|im_start|>assistant\nHello<|im_end|>');
    expect(trainedTexts(twice, tokenizer)).toHaveLength(1);
  });

  it('is one row where only turns that are not learned are rewritten', async () => {
    const tokenizer = await withTemplate(forgetful);
    const row = chat(
      ['user', 'Hi'],
      ['assistant', '<think>a</think>Hello', { weight: 0 }],
      ['user', 'Bye'],
      ['assistant', 'Ciao'],
    );
    expect(trainedTexts(row, tokenizer)).toEqual([['Ciao<|im_end|>\n']]);
  });

  it('becomes rows for turns with the same reasoning and answer, too', async () => {
    const same = '<think>a</think>Hello';
    const row = chat(['user', 'Hi'], ['assistant', same], ['user', 'Hi'], ['assistant', same]);
    expect(trainedTexts(row, await withTemplate(forgetful))).toEqual([
      [`${same}<|im_end|>\n`],
      [`${same}<|im_end|>\n`],
    ]);
  });

  it.each([
    ['weight', 0],
    ['train', false],
    ['training', false],
    ['loss', false],
  ])('is not learned where %s is %p', async (name, value) => {
    const taken = (turn: number): object => ({
      messages: twice.messages.map((message, index) =>
        index === turn ? { ...message, [name]: value } : { ...message, [name]: null },
      ),
    });
    expect(trainedTexts(taken(1), await chatMl())).toEqual([['Ciao<|im_end|>\n']]);
    expect(trainedTexts(taken(3), await chatMl())).toEqual([['Hello<|im_end|>\n']]);
  });

  it('hands messages to the template as they stand in the row, tools and documents beside them', async () => {
    const tokenizer = await withTemplate(
      '{{ tools[0].name }} {{ documents is none }}{% for m in messages %} {{ m.keys()|list }} {{ m }}{% endfor %}',
    );
    const [{ text } = { text: '' }] = encodeRow(
      parseRow(
        '{"messages": [{"role": "user", "b": 2.0, "content": null, "10": 1, "2": 12345678901234567890}, {"role": "assistant", "tool_calls": [{}], "weight": 1}], "tools": [{"name": "lookup"}]}',
        { takesImages: false },
      ),
      tokenizer,
    );
    expect(text).toBe(
      "lookup True ['role', 'b', 'content', '10', '2'] {'role': 'user', 'b': 2.0, 'content': None, '10': 1, '2': 12345678901234567890}" +
        " ['role', 'tool_calls', 'weight'] {'role': 'assistant', 'tool_calls': [{}], 'weight': 1}",
    );
  });

  it('tells that text of the assistant is not in the rendering', async () => {
    const tokenizer = await withTemplate(
      `${loop(`${header}{{ m.content.split('</think>')[-1] + '<|im_end|>' }}`)}${prompt}`,
    );
    const lost = (content: string, more?: object): boolean | undefined =>
      encode(chat(['user', 'Hi'], ['assistant', content, more]), tokenizer)[0]?.isTextLost;
    expect(lost('<think>a</think>Hello')).toBe(true);
    expect(lost('  Hello\n')).toBe(false);
    expect(lost('Hello', { reasoning_content: 'because' })).toBe(true);
  });

  describe('with tools', () => {
    const tool = (name: string) => ({ type: 'function', function: { name, parameters: {} } });
    const call = (name: string) => ({ tool_calls: [{ function: { name, arguments: '{}' } }] });
    const asked = (...calls: readonly object[]) => ({
      ...chat(['user', 'Hi'], ...calls.map((each) => ['assistant', null, each] as const)),
      tools: [tool('look_up'), tool('add')],
    });
    const body = `${header}{{ m.content or '' }}{% for c in m.tool_calls or [] %}<call>{{ c.function.name }}{% endfor %}<|im_end|>`;
    const listed = '{% for t in tools or [] %}{{ t | tojson }}{% endfor %}';

    it('has them in the template, and calls among what is trained on', async () => {
      const tokenizer = await withTemplate(`${listed}${loop(body)}${prompt}`);
      const [text] = encode(asked(call('look_up')), tokenizer);
      expect(text?.text).toMatch(/^\{"type": "function", "function": \{"name": "look_up"/);
      expect(text?.isTextLost).toBe(false);
      expect(trainedTexts(asked(call('add')), tokenizer)).toEqual([['<call>add<|im_end|>']]);
    });

    it('is refused where the template does not show one', async () => {
      const tokenizer = await withTemplate(`{{ tools[0].function.name }}${loop(body)}${prompt}`);
      expect(() => encode(asked({ content: 'x' }), tokenizer)).toThrow(
        expect.objectContaining({
          field: 'tools[1]',
          reason: expect.stringMatching(/template does not show it$/),
        }),
      );
    });

    it('is refused without a template, and as a text', async () => {
      const base = await tokenizerWith({});
      const { tools } = asked();
      expect(() => encode({ prompt: 'a', completion: 'b', tools }, base)).toThrow(
        'a chat template',
      );
      expect(() => encode({ text: 'a', tools }, base)).toThrow('as it is');
      expect(encode({ text: 'a', tools: [] }, await chatMl())).toHaveLength(1);
    });

    it('tells that a call is not in the rendering', async () => {
      const tokenizer = await withTemplate(
        `${listed.replace('t | tojson', "t.function.name | replace('add', 'sum')")}${loop(`${header}{{ m.content or '' }}<|im_end|>`)}${prompt}`,
      );
      const row = { ...asked(call('add')), tools: [tool('look_up')] };
      expect(encode(row, tokenizer)[0]?.isTextLost).toBe(true);
      expect(
        encode({ ...row, ...chat(['user', 'Hi'], ['assistant', 'add', call('add')]) }, tokenizer)[0]
          ?.isTextLost,
      ).toBe(false);
    });
  });

  it('is refused where the model has no chat template', async () => {
    const tokenizer = await tokenizerWith({});
    expect(() => encode(twice, tokenizer)).toThrow('needs a chat template');
  });
});

describe('a template with generation marks', () => {
  const marked = loop(
    `${header}{% if m.role == 'assistant' %}{{ 'plan:\\n' }}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}{% else %}{{ m.content + '<|im_end|>\\n' }}{% endif %}`,
  );

  it('is trained on exactly inside them', async () => {
    expect(trainedTexts(twice, await withTemplate(marked))).toEqual([
      ['Hello<|im_end|>', 'Ciao<|im_end|>'],
    ]);
  });

  it('is trained on where they stand in the final text, also from a macro', async () => {
    const tokenizer = await withTemplate(
      `{% macro say(m) %}{% generation %}{{ m.content }}{% endgeneration %}{{ '<|im_end|>' }}{% endmacro %}${loop(`${header}{{ say(m) if m.role == 'assistant' else m.content }}`)}`,
    );
    expect(trainedTexts(twice, tokenizer)).toEqual([['Hello', 'Ciao']]);
  });

  it('loses those of a turn that is not learned', async () => {
    const row = {
      messages: twice.messages.map((message, index) =>
        index === 1 ? { ...message, weight: 0 } : message,
      ),
    };
    expect(trainedTexts(row, await withTemplate(marked))).toEqual([['Ciao<|im_end|>']]);
  });
});

describe('very many turns', () => {
  const long = chat(
    ...Array.from({ length: 2000 }, (_, index) =>
      index % 2 === 0
        ? (['user', `Is it ${index}?`] as const)
        : (['assistant', `Yes, ${index}.`] as const),
    ),
  );

  it.each([
    [
      'a generation prompt',
      `${loop(`${header}{{ m.content + '<|im_end|>\\n' }}`)}${prompt}`,
      'Yes, 7.<|im_end|>\n',
    ],
    [
      'headers alone',
      loop("{{ m.role + ': ' + m.content + '<|im_end|>\\n' }}"),
      ' Yes, 7.<|im_end|>\n',
    ],
  ])(
    'are found in a time that does not grow with their square, with %s',
    async (_, template, fourth) => {
      const tokenizer = await withTemplate(template);
      const started = processorMs();
      const [texts = []] = trainedTexts(long, tokenizer);
      expect(processorMs() - started).toBeLessThan(20_000);
      expect(texts).toHaveLength(1000);
      expect(texts[3]).toBe(fourth);
    },
  );
});

describe('prompt and completion without a chat template', () => {
  const plain = (
    files: Readonly<Record<string, object>> = { 'config.json': { eos_token_id: 0 } },
  ) => tokenizerWith(files);

  it('are raw text and the end-of-sequence token, the prompt untrained', async () => {
    const tokenizer = await plain();
    const row = { prompt: 'def add', completion: '(a, b):\n' };
    expect(tokenizer.decode(encode(row, tokenizer)[0]?.ids ?? [])).toBe(
      'def add(a, b):\n<|endoftext|>',
    );
    expect(trainedTexts(row, tokenizer)).toEqual([['(a, b):\n<|endoftext|>']]);
  });

  it('never train on the first token', async () => {
    const [text] = encode({ prompt: '', completion: 'return' }, await plain());
    expect(text?.ids).toHaveLength(2);
    expect([...(text?.trained ?? [])]).toEqual([0, 1]);
  });

  it('have the end-of-sequence token once', async () => {
    const tokenizer = await plain();
    const [text] = encode({ prompt: 'a', completion: ' b<|endoftext|>' }, tokenizer);
    expect(tokenizer.decode(text?.ids ?? [])).toBe('a b<|endoftext|>');
  });

  it('are refused without an end-of-sequence token', async () => {
    const tokenizer = await plain({});
    expect(() => encode({ prompt: 'a', completion: 'b' }, tokenizer)).toThrow('end-of-sequence');
  });
});
