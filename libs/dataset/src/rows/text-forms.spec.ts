import { exampleModel, textOptions, tokenizerWith } from '../../test/model-folder.js';
import { encodeRow } from '../masks/encode-row.js';
import { loadTokenizer, type ChatTokenizer } from '../templates/chat-tokenizer.js';
import { parseRow } from './row.js';

const parse = (row: object, takesImages = false): ReturnType<typeof parseRow> =>
  parseRow(JSON.stringify(row), { takesImages });
const chat = (): Promise<ChatTokenizer> => loadTokenizer(exampleModel('demo-5m'), textOptions);
const base = (): Promise<ChatTokenizer> => tokenizerWith({ 'config.json': { eos_token_id: 0 } });

/** Text of a row with what is trained on in brackets. */
function shown(row: object, tokenizer: ChatTokenizer): string[] {
  return encodeRow(parse(row), tokenizer).map(({ ids, trained }) => {
    const start = trained.indexOf(1);
    expect(trained.lastIndexOf(1)).toBe(ids.length - 1);
    return `${tokenizer.decode(ids.slice(0, start))}[${tokenizer.decode(ids.slice(start))}]`;
  });
}

describe('instruction, input and output', () => {
  it.each([
    ['an input', { input: 'a b' }, 'Sort.\na b'],
    ['an empty input', { input: '' }, 'Sort.'],
    ['null for an input', { input: null }, 'Sort.'],
    ['no input', {}, 'Sort.'],
  ])('are a turn of user and assistant each, with %s', async (_, input, asked) => {
    expect(shown({ instruction: 'Sort.', ...input, output: 'b a' }, await chat())).toEqual([
      `<|im_start|>user\n${asked}<|im_end|>\n<|im_start|>assistant\n[b a<|im_end|>\n]`,
    ]);
  });

  it('are lines without a chat template, the output trained on', async () => {
    const tokenizer = await base();
    expect(shown({ instruction: 'Sort:', input: 'a', output: 'b' }, tokenizer)).toEqual([
      'Sort:\na\n[b<|endoftext|>]',
    ]);
    expect(shown({ instruction: 'Sort:', output: 'b' }, tokenizer)).toEqual([
      'Sort:\n[b<|endoftext|>]',
    ]);
  });

  it('show images where the instruction has their place', () => {
    const row = { image: 'a.png', instruction: '<image>\nWhat?', output: 'A dog.' };
    const { content, images } = parse(row, true);
    expect(content).toMatchObject({ kind: 'conversation' });
    expect(images).toMatchObject([{ field: 'image' }]);
  });

  it('go before a text and before a prompt alone, behind prompt and completion', () => {
    const row = { instruction: 'Sort.', input: '', output: 'b', prompt: 'all', text: 'all' };
    expect(parse(row)).toMatchObject({
      content: { kind: 'instruction' },
      unusedColumns: ['prompt', 'text'],
    });
    expect(parse({ ...row, completion: 'c' })).toMatchObject({
      content: { kind: 'completion' },
      unusedColumns: ['instruction', 'input', 'output', 'text'],
    });
  });
});

describe('a text alone', () => {
  it('is trained on as a whole, by models with and without a chat template', async () => {
    for (const tokenizer of [await chat(), await base()]) {
      const [{ ids, trained } = { ids: [], trained: [] }] = encodeRow(
        parse({ text: 'Once upon a time' }),
        tokenizer,
      );
      expect(tokenizer.decode(ids)).toMatch(/^Once upon a time<\|(endoftext|im_end)\|>$/);
      expect([...trained]).toEqual([...ids].map((_, index) => (index === 0 ? 0 : 1)));
    }
  });

  it('is no place of images, whatever it says', () => {
    expect(parse({ text: 'an <image>', images: [] }, true)).toMatchObject({
      content: { kind: 'text', text: 'an <image>' },
      images: [],
    });
  });
});

test.each([
  [{ instruction: 'Sort.' }, 'output', 'is missing'],
  [{ output: 'b', text: 'all' }, 'instruction', 'is missing'],
  [{ instruction: 'Sort.', output: 3 }, 'output', 'must be text, is a number'],
  [{ instruction: ['Sort.'], output: 'b' }, 'instruction', 'must be text, is a list'],
  [{ instruction: 'Sort.', input: {}, output: 'b' }, 'input', 'must be text, is an object'],
  [{ text: 3 }, 'text', 'must be text, is a number'],
  [{ text: '' }, 'text', 'is empty'],
  [{ text: 'a', image: 'a.png' }, 'image', 'cannot stand beside text'],
])('names the field of what is wrong in %j', (row, field, reason) => {
  expect(() => parse(row, true)).toThrow(
    expect.objectContaining({ field, reason: expect.stringContaining(reason) as string }) as Error,
  );
});
