import {
  imageModelFiles,
  imageOptions,
  partsTemplate,
  readImageRows,
  shownText,
  type ReadFileOptions,
} from '../../test/image-rows.js';
import { tokenizerOf, tokenizerWith } from '../../test/model-folder.js';
import { modelFile, vocabularyGolden } from '../../test/vocabulary-golden.js';
import { encodeRow } from '../masks/encode-row.js';
import { parseRow } from '../rows/row.js';
import type { ImageTextOptions } from './image-text-options.js';

const row = {
  images: ['a.png', 'b.png'],
  messages: [
    { role: 'user', content: 'One <image>\nTwo <image>\nQ?' },
    { role: 'assistant', content: 'Red.' },
    { role: 'user', content: [{ type: 'text', text: 'Why?' }] },
    { role: 'assistant', content: 'It is.' },
  ],
};
const [a, b] = ['<img><IMG_CONTEXT> × 9</img>', '<img><IMG_CONTEXT> × 3</img>'];
const header = "{{ '<|im_start|>' + m.role + '\\n' }}";
const loop = (body: string): string =>
  `{% for m in messages %}${header}${body}{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

async function shown(given: object, options: ReadFileOptions): Promise<string[]> {
  const { outcomes } = await readImageRows([given], options);
  return outcomes.map(shownText);
}

describe('a row is written', () => {
  const flat = { ...row, messages: row.messages.slice(0, 2) };

  it('in place where the template takes parts, learned without line ends', async () => {
    expect(await shown(row, { template: partsTemplate })).toEqual([
      `<|im_start|>user\nOne ${a}\nTwo ${b}\nQ?<|im_end|>\n<|im_start|>assistant\n[Red.<|im_end|>]\n` +
        `<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n[It is.<|im_end|>]\n`,
    ]);
  });

  it('as the template does it where images come first', async () => {
    const template = loop(
      "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content if p.type == 'image' %}{{ '<image>\\n' }}{% endfor %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}{% endif %}",
    );
    expect(await shown(flat, { template })).toEqual([
      `<|im_start|>user\n${a}\n${b}\nOne Two Q?<|im_end|>\n<|im_start|>assistant\n[Red.<|im_end|>]\n`,
    ]);
  });

  it('as text where the template takes only texts', async () => {
    expect(await shown(flat, { template: loop('{{ m.content }}') })).toEqual([
      `<|im_start|>user\nOne ${a}\nTwo ${b}\nQ?<|im_end|>\n<|im_start|>assistant\n[Red.<|im_end|>]\n`,
    ]);
  });

  it('where the template has all three tokens of an image itself', async () => {
    const template = partsTemplate.replace('<IMG_CONTEXT>', '<img><IMG_CONTEXT></img>');
    expect(await shown(row, { template })).toEqual(await shown(row, { template: partsTemplate }));
  });

  it("within the template's own marks", async () => {
    const template = partsTemplate
      .replace(
        '{{ m.content }}',
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>\\n' }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}",
      )
      .replace(
        "{{ '<|im_end|>\\n' }}{% endfor %}",
        "{% if m.role != 'assistant' %}{{ '<|im_end|>\\n' }}{% endif %}{% endfor %}",
      );
    expect(await shown(row, { template })).toEqual(await shown(row, { template: partsTemplate }));
  });

  it('as a row for each turn where earlier turns are rewritten, each with the images so far', async () => {
    const template = loop(
      "{% if m.role == 'assistant' and not loop.last %}{{ '-' }}{% elif m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ '<IMG_CONTEXT>\\n' if p.type == 'image' else p.text }}{% endfor %}{% endif %}",
    );
    const twice = {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', path: 'b.png' },
            { type: 'text', text: 'Q?' },
          ],
        },
        { role: 'assistant', content: 'Red.' },
        { role: 'user', content: [{ type: 'image', path: 'a.png' }] },
        { role: 'assistant', content: 'It is.' },
      ],
    };
    expect(await shown(twice, { template })).toEqual([
      `<|im_start|>user\n${b}\nQ?<|im_end|>\n<|im_start|>assistant\n[Red.<|im_end|>]\n`,
      `<|im_start|>user\n${b}\nQ?<|im_end|>\n<|im_start|>assistant\n-<|im_end|>\n<|im_start|>user\n${a}\n<|im_end|>\n<|im_start|>assistant\n[It is.<|im_end|>]\n`,
    ]);
  });
});

describe('a template is refused', () => {
  const tokenizerFor = (
    images: Partial<ImageTextOptions>,
    files: Readonly<Record<string, string | object>> = imageModelFiles(null),
  ): Promise<unknown> => tokenizerWith(files, { images: { ...imageOptions, ...images } });

  it('whose name is not known', async () => {
    await expect(tokenizerFor({ template: 'internlm2-chat' })).rejects.toMatchObject({
      code: 'DATASET_TEMPLATE_INVALID',
      message:
        'config.json: the prompt\'s template "internlm2-chat" is not known, only "internvl2_5" is; give its Jinja form with --chat-template',
    });
  });

  it('that writes something else for images', async () => {
    const template = partsTemplate.replace('<IMG_CONTEXT>', '<|image_pad|>');
    await expect(readImageRows([row], { template })).rejects.toMatchObject({
      code: 'DATASET_TEMPLATE_INVALID',
      message: expect.stringContaining('writes none of <img><IMG_CONTEXT></img>, <IMG') as string,
    });
  });

  it('with a tokenizer that has no tokens for images', async () => {
    await expect(tokenizerFor({}, {})).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringMatching(/tokenizer\.json: there is no token <img>, which/) as string,
    });
  });
});

describe('the built-in template', () => {
  const chat = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
  ];
  const turns = '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[Hello<|im_end|>]\n';

  it('has the system turn of the row, else that of the model, else its own', async () => {
    const system = { role: 'system', content: [{ type: 'text', text: 'Be short.' }] };
    expect(await shown({ messages: [system, ...chat] }, {})).toEqual([
      `<|im_start|>system\nBe short.<|im_end|>\n${turns}`,
    ]);
    expect(await shown({ messages: chat }, { images: { systemMessage: 'Say "\\n".' } })).toEqual([
      `<|im_start|>system\nSay "\\n".<|im_end|>\n${turns}`,
    ]);
    const [own = ''] = await shown({ messages: chat }, { images: { systemMessage: null } });
    expect(own).toMatch(
      /^<\|im_start\|>system\n你是书生·万象，.*大语言模型。<\|im_end\|>\n<\|im_start\|>user/,
    );
    expect(own.endsWith(turns)).toBe(true);
  });

  it('begins with what the tokenizer puts before a text, once', async () => {
    const tokens = ['<|im_start|>', '<|im_end|>', '<img>', '<IMG_CONTEXT>', '</img>'];
    const first = vocabularyGolden.models.internlm?.pieces.length ?? 0;
    const added = Object.fromEntries(
      tokens.map((content, index) => [first + index, { content, special: true }]),
    );
    const tokenizer = await tokenizerOf(
      {
        'tokenizer.model': modelFile('internlm'),
        'tokenizer_config.json': {
          tokenizer_class: 'InternLM2Tokenizer',
          added_tokens_decoder: {
            1: { content: '<s>', special: true },
            2: { content: '</s>', special: true },
            ...added,
          },
        },
      },
      { images: imageOptions },
    );
    const parsed = parseRow(JSON.stringify({ messages: chat }), { takesImages: true });
    const [text] = encodeRow(parsed, tokenizer);
    expect(text?.text.startsWith('<s><|im_start|>system\nLook.')).toBe(true);
    expect([...(text?.ids ?? [])].filter((id) => id === 1)).toHaveLength(1);
    expect(text?.ids[0]).toBe(1);
    expect(text?.ids[1]).toBe(first);
    expect(tokenizer.eosTokenIds).toEqual([2, first + 1]);
  });

  it('gives way to a template that the user gives', async () => {
    const files = imageModelFiles(null);
    const tokenizer = await tokenizerWith(files, {
      images: imageOptions,
      chatTemplate: partsTemplate,
    });
    expect(tokenizer.templates).toMatchObject([{ origin: 'the given chat template' }]);
  });
});
