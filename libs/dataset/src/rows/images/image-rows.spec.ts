import {
  imageIds,
  partsTemplate,
  png,
  readImageRows,
  shownText,
} from '../../../test/image-rows.js';

const conversation = (value: string, ...more: object[]): object[] => [
  { from: 'human', value },
  { from: 'gpt', value: 'Red.' },
  ...more,
];
const answer = { role: 'assistant', content: 'Red.' };
const asked = (content: unknown): object[] => [{ role: 'user', content }, answer];
const text = (words: string): object => ({ type: 'text', text: words });
const base64 = Buffer.from(png(30, 20)).toString('base64');
const url = `data:image/png;base64,${base64}`;

/** The question as it is written for two templates: the built-in one, and one that takes parts. */
async function questions(row: object): Promise<string[]> {
  const shown: string[] = [];
  for (const template of [null, partsTemplate]) {
    const { outcomes } = await readImageRows([row], { template });
    const whole = shownText(outcomes[0]);
    const start = whole.indexOf('<|im_start|>user\n') + '<|im_start|>user\n'.length;
    shown.push(whole.slice(start, whole.indexOf('<|im_end|>', start)));
  }
  return shown;
}

/** One image of 30 x 20: 6 tiles and the thumbnail, 3 tokens each. */
const a = '<img><IMG_CONTEXT> × 21</img>';
/** The same as one of two: at most 3 tiles; one of 9 x 9 has one. */
const half = '<img><IMG_CONTEXT> × 9</img>';
const small = '<img><IMG_CONTEXT> × 3</img>';

describe('one image is shown', () => {
  it.each<[string, object]>([
    ['rows of InternVL', { image: 'a.png', width: 9, conversations: conversation('<image>\nQ?') }],
    ['a list of one', { image: ['a.png'], conversations: conversation('<image>\nQ?') }],
    ['no placeholder', { image: 'a.png', conversations: conversation('Q?') }],
    ['messages with images', { images: ['a.png'], messages: asked('<image>\nQ?') }],
    ['images as objects', { images: [{ path: 'a.png' }], messages: asked('<image>\nQ?') }],
    ['images as bytes', { images: [{ bytes: base64, path: 'x' }], messages: asked('<image>\nQ?') }],
    [
      'parts of OpenAI',
      { messages: asked([{ type: 'image_url', image_url: { url, detail: 'low' } }, text('Q?')]) },
    ],
    [
      'parts of OpenAI, a text',
      { messages: asked([{ type: 'image_url', image_url: url }, text('Q?')]) },
    ],
    ['parts with a path', { messages: asked([{ type: 'image', path: 'a.png' }, text('Q?')]) }],
    ['parts with a url', { messages: asked([{ type: 'image', url: 'a.png' }, text('Q?')]) }],
    ['parts with an image', { messages: asked([{ type: 'image', image: url }, text('Q?')]) }],
    ['parts with base64', { messages: asked([{ type: 'image', base64 }, text('Q?')]) }],
    ['bare parts', { images: ['a.png'], messages: asked([{ type: 'image' }, text('Q?')]) }],
    ['parts without a place', { images: ['a.png'], messages: asked([text('Q?')]) }],
    ['a text part', { images: ['a.png'], messages: asked([text('<image>\nQ?')]) }],
    ['prompt and completion', { image: 'a.png', prompt: '<image>\nQ?', completion: 'Red.' }],
    [
      'prompt messages',
      { images: ['a.png'], prompt: asked('<image>\nQ?').slice(0, 1), completion: [answer] },
    ],
  ])('in the same text: %s', async (_, row) => {
    expect(await questions(row)).toEqual([`${a}\nQ?`, `${a}\nQ?`]);
  });

  it('where it stands in the text, its line end apart', async () => {
    expect(await questions({ image: 'a.png', conversations: conversation('Q?\n<image>') })).toEqual(
      [`Q?\n${a}`, `Q?\n${a}\n`],
    );
    expect(
      await questions({ messages: asked([text('Q?'), { type: 'image', url: 'a.png' }]) }),
    ).toEqual([`Q?${a}\n`, `Q?${a}\n`]);
  });
});

test('several images share the tiles, in the order of their places', async () => {
  const row = {
    images: ['a.png', 'b.png'],
    messages: asked('Image-1: <image>\nImage-2: <image>\nQ?'),
  };
  expect(await questions(row)).toEqual([
    `Image-1: ${half}\nImage-2: ${small}\nQ?`,
    `Image-1: ${half}\nImage-2: ${small}\nQ?`,
  ]);
});

test('images may stand in several turns', async () => {
  const row = {
    image: ['b.png', 'a.png'],
    conversations: [
      ...conversation('<image>\nQ?'),
      { from: 'human', value: 'And <image>?' },
      { from: 'gpt', value: 'Blue.' },
    ],
  };
  const { outcomes } = await readImageRows([row]);
  expect(shownText(outcomes[0])).toBe(
    `<|im_start|>system\nLook.<|im_end|>\n<|im_start|>user\n${small}\nQ?<|im_end|>\n<|im_start|>assistant\n[Red.<|im_end|>]\n` +
      `<|im_start|>user\nAnd ${half}?<|im_end|>\n<|im_start|>assistant\n[Blue.<|im_end|>]\n`,
  );
});

test('context tokens are as many as tiles have, none of them trained on', async () => {
  const { outcomes, summary, tokenizer } = await readImageRows([
    { image: 'a.png', conversations: conversation('<image>\nQ?') },
  ]);
  const [outcome] = outcomes;
  if (outcome?.kind !== 'row') throw new Error(JSON.stringify(outcome));
  const { ids, trained, images = [] } = outcome.row;
  const [image] = images;
  expect(image).toMatchObject({ width: 30, height: 20, tiles: 7, maxTiles: 6, contextTokens: 21 });
  expect(image?.input.label).toMatch(/rows\.jsonl:1: a\.png$/);
  const start = image?.contextStart ?? 0;
  expect(ids[start - 1]).toBe(imageIds.start);
  expect([...ids.slice(start, start + 21)]).toEqual(Array(21).fill(imageIds.context));
  expect(ids[start + 21]).toBe(imageIds.end);
  expect(ids.filter((id) => id === imageIds.context)).toHaveLength(21);
  expect(tokenizer.decode(ids.filter((_, index) => trained[index] === 1))).toBe('Red.<|im_end|>');
  expect(trained).toHaveLength(ids.length);
  expect(summary.report).toMatchObject({ images: 1, tiles: 7, longestTokens: ids.length });
  expect(summary.report.unusedColumns).toEqual({});
});

describe('a row is refused, its field named:', () => {
  const first = 'conversations[0]';
  it.each<[object, string | null, RegExp]>([
    [
      { image: 'a.png', conversations: conversation('<image> <image>') },
      first,
      /2 <image>.* 1 images/,
    ],
    [{ image: ['a.png', 'b.png'], conversations: conversation('<image>') }, first, /1 <image>.* 2/],
    [
      { image: ['a.png', 'b.png'], conversations: conversation('Q?') },
      null,
      /2 images and no <image>/,
    ],
    [{ conversations: conversation('<image>') }, first, /1 <image>.* 0 images/],
    [
      {
        image: 'a.png',
        conversations: [
          { from: 'human', value: 'Q?' },
          { from: 'gpt', value: '<image>' },
        ],
      },
      'conversations[1]',
      /assistant/,
    ],
    [
      {
        messages: [
          { role: 'user', content: 'Q?' },
          { role: 'assistant', content: [{ type: 'image', url }] },
        ],
      },
      'messages[1].content[0].type',
      /assistant/,
    ],
    [{ video: 'a.mp4', conversations: conversation('Q?') }, 'video', /videos are not read/],
    [
      { messages: asked([{ type: 'video', video: 'a.mp4' }]) },
      'messages[0].content[0].type',
      /must be "text" or/,
    ],
    [
      { image: 'a.png', images: ['a.png'], conversations: conversation('<image>') },
      'images',
      /beside image/,
    ],
    [{ image: 3, conversations: conversation('<image>') }, 'image', /is a number/],
    [{ images: [{}], messages: asked('<image>') }, 'images[0]', /none of bytes/],
    [{ images: ['data:image/png,abc'], messages: asked('<image>') }, 'images[0]', /base64/],
    [{ images: [{ bytes: '%%%' }], messages: asked('<image>') }, 'images[0].bytes', /base64/],
    [{ image: 'a.png', messages: [answer] }, null, /no turn of the user/],
    [
      { image: 'a.png', messages: asked('<image> <IMG_CONTEXT>') },
      null,
      /2 <IMG_CONTEXT>.* 1 images/,
    ],
    [{ messages: asked('<IMG_CONTEXT>') }, null, /1 <IMG_CONTEXT>.* 0 images/],
  ])('%j', async (row, field, reason) => {
    const { outcomes } = await readImageRows([row]);
    expect(outcomes).toMatchObject([
      {
        kind: 'bad',
        problems: [{ line: 1, field, reason: expect.stringMatching(reason) as string }],
      },
    ]);
  });
});

test('a model of text alone refuses rows with images and reads others', async () => {
  const { outcomes } = await readImageRows(
    [
      { image: 'a.png', conversations: conversation('<image>') },
      { messages: asked([{ type: 'image', url }]) },
      { conversations: conversation('What does <image> mean?') },
    ],
    { images: null, template: partsTemplate },
  );
  expect(outcomes.map(({ kind }) => kind)).toEqual(['bad', 'bad', 'row']);
  expect(JSON.stringify(outcomes)).toContain('this model takes text alone');
});

test('a row whose image does not lie within the maximum length is refused', async () => {
  const row = { image: 'a.png', conversations: conversation('<image>\nQ?') };
  const { outcomes } = await readImageRows([row], { maxLength: 30 });
  expect(outcomes).toMatchObject([
    {
      kind: 'bad',
      problems: [
        {
          field: null,
          reason: expect.stringMatching(
            /images up to its token 3\d of 4\d, beyond .* 30$/,
          ) as string,
        },
      ],
    },
  ]);
});
