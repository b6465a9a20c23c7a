import { exampleModel, inTemporaryFolder, writeTokenizer } from '../test/model-folder.js';
import { encodeRow } from './encode-row.js';
import type { DatasetRow } from './row-schema.js';
import { loadTokenizer, type ChatTokenizer } from './tokenizer.js';

const HEADER = "{{ '<|im_start|>' + m.role + '\\n' }}";

async function withTemplate(template: string): Promise<ChatTokenizer> {
  return inTemporaryFolder(async (folder) => {
    await writeTokenizer(folder, {
      'tokenizer_config.json': { eos_token: '<|im_end|>', chat_template: template },
    });
    return loadTokenizer(folder);
  });
}

/** The stretches of text that are trained on. */
function trainedTexts(row: DatasetRow, tokenizer: ChatTokenizer): string[] {
  const { ids, trained } = encodeRow(row, tokenizer);
  expect(trained).toHaveLength(ids.length);
  const texts: string[] = [];
  for (let start = trained.indexOf(1); start >= 0;) {
    const end = trained.indexOf(0, start) < 0 ? ids.length : trained.indexOf(0, start);
    texts.push(tokenizer.decode(ids.slice(start, end)));
    start = trained.indexOf(1, end);
  }
  return texts;
}

const chat = (...turns: readonly (readonly [string, string])[]): DatasetRow => ({
  kind: 'messages',
  messages: turns.map(([role, content]) => ({ role, content })),
});

describe('a conversation', () => {
  it('is trained on in every assistant turn with its end-of-turn token and what follows it', async () => {
    const tokenizer = await loadTokenizer(exampleModel('demo-5m'));
    const row = chat(
      ['system', 'Be short.'],
      ['user', 'How many?'],
      ['assistant', 'There are 12.'],
      ['user', 'Sure?'],
      ['assistant', 'Yes!'],
    );
    expect(trainedTexts(row, tokenizer)).toEqual(['There are 12.<|im_end|>\n', 'Yes!<|im_end|>\n']);
    expect(tokenizer.decode(encodeRow(row, tokenizer).ids)).toMatch(
      /^<\|im_start\|>system\nBe short\.<\|im_end\|>\n<\|im_start\|>user\n/,
    );
  });

  it('may go on after the last assistant turn, untrained', async () => {
    const tokenizer = await loadTokenizer(exampleModel('demo-5m'));
    expect(
      trainedTexts(chat(['user', 'Hi'], ['assistant', 'Hello'], ['user', 'Bye']), tokenizer),
    ).toEqual(['Hello<|im_end|>\n']);
  });

  it('is what prompt and completion stand for where there is a chat template', async () => {
    const tokenizer = await loadTokenizer(exampleModel('demo-5m'));
    expect(encodeRow({ kind: 'completion', prompt: 'Hi', completion: 'Hello' }, tokenizer)).toEqual(
      encodeRow(chat(['user', 'Hi'], ['assistant', 'Hello']), tokenizer),
    );
  });

  it('moves the boundary back where a token reaches across it', async () => {
    // "x" and "return" with a space between: the space belongs to the answer's first token, and to
    // the prompt's text.
    const tokenizer = await withTemplate('{% for m in messages %}{{ m.content }}{% endfor %}');
    expect(trainedTexts(chat(['user', 'x '], ['assistant', 'return']), tokenizer)).toEqual([
      ' return',
    ]);
  });

  it('trains on what a generation prompt has beyond the finished turn’s beginning', async () => {
    const template =
      `{% for m in messages %}${HEADER}{{ m.content }}{{ '<|im_end|>' }}{% endfor %}` +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>' }}{% endif %}";
    const tokenizer = await withTemplate(template);
    expect(trainedTexts(chat(['user', 'Hi'], ['assistant', 'Hello']), tokenizer)).toEqual([
      'Hello<|im_end|>',
    ]);
  });

  it('is refused where the template rewrites a turn once later turns follow', async () => {
    const template =
      `{% for m in messages %}${HEADER}{% if loop.last or m.role == 'user' %}{{ m.content }}{% else %}cut{% endif %}{{ '<|im_end|>' }}{% endfor %}` +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    const tokenizer = await withTemplate(template);
    expect(trainedTexts(chat(['user', 'Hi'], ['assistant', 'Hello']), tokenizer)).toEqual([
      'Hello<|im_end|>',
    ]);
    expect(() =>
      encodeRow(
        chat(['user', 'Hi'], ['assistant', 'Hello'], ['user', 'Bye'], ['assistant', 'Bye']),
        tokenizer,
      ),
    ).toThrow(
      expect.objectContaining({
        field: 'messages[1]',
        reason: expect.stringContaining('one row per assistant turn') as string,
      }),
    );
  });

  it('hands tools and further fields to the template', async () => {
    const tokenizer = await withTemplate(
      '{{ tools[0].name }} {% for m in messages %}{{ m.name }}{{ m.content }} {% endfor %}',
    );
    const { ids } = encodeRow(
      {
        kind: 'messages',
        messages: [
          { role: 'user', content: 'a', name: 'N' },
          { role: 'assistant', content: 'b' },
        ],
        tools: [{ name: 'lookup' }],
      },
      tokenizer,
    );
    expect(tokenizer.decode(ids)).toBe('lookup Na b ');
  });

  it('is refused where the model has no chat template', async () => {
    const tokenizer = await inTemporaryFolder(async (folder) => {
      await writeTokenizer(folder, {});
      return loadTokenizer(folder);
    });
    expect(() => encodeRow(chat(['user', 'Hi'], ['assistant', 'Hello']), tokenizer)).toThrow(
      'no chat template',
    );
  });
});

describe('prompt and completion without a chat template', () => {
  const plain = async (files: Readonly<Record<string, object>>): Promise<ChatTokenizer> =>
    inTemporaryFolder(async (folder) => {
      await writeTokenizer(folder, files);
      return loadTokenizer(folder);
    });

  it('are raw text and the end-of-sequence token, the prompt untrained', async () => {
    const tokenizer = await plain({ 'config.json': { eos_token_id: 0 } });
    const row: DatasetRow = { kind: 'completion', prompt: 'def add', completion: '(a, b):\n' };
    expect(tokenizer.decode(encodeRow(row, tokenizer).ids)).toBe('def add(a, b):\n<|endoftext|>');
    expect(trainedTexts(row, tokenizer)).toEqual(['(a, b):\n<|endoftext|>']);
  });

  it('never train on the first token', async () => {
    const tokenizer = await plain({ 'config.json': { eos_token_id: 0 } });
    const { ids, trained } = encodeRow(
      { kind: 'completion', prompt: '', completion: 'return' },
      tokenizer,
    );
    expect(ids).toHaveLength(2);
    expect([...trained]).toEqual([0, 1]);
  });

  it('are refused without an end-of-sequence token', async () => {
    const tokenizer = await plain({});
    expect(() =>
      encodeRow({ kind: 'completion', prompt: 'a', completion: 'b' }, tokenizer),
    ).toThrow('end-of-sequence');
  });
});
