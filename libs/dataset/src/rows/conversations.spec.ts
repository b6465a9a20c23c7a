import { PyDict } from '../jinja/index.js';
import { parseRow } from './row.js';

const turns = [
  { from: 'system', value: 'Be short.' },
  { from: 'human', value: 'Hi' },
  { from: 'gpt', value: 'Hello' },
];
const parse = (row: object): ReturnType<typeof parseRow> =>
  parseRow(JSON.stringify(row), { takesImages: false });

test('turns of conversations are messages', () => {
  const { content, unusedColumns } = parse({ id: 1, conversations: turns });
  if (content.kind !== 'conversation') throw new Error(content.kind);
  expect(content.messages.map((turn) => [turn.get('role'), turn.get('content')])).toEqual([
    ['system', 'Be short.'],
    ['user', 'Hi'],
    ['assistant', 'Hello'],
  ]);
  expect(content.messages.every((turn) => turn instanceof PyDict && !turn.has('from'))).toBe(true);
  expect(content.isTrained).toEqual([false, false, true]);
  expect(content.fieldOf(1)).toBe('conversations[1]');
  expect(unusedColumns).toEqual(['id']);
});

test('messages, and prompt with completion, go before conversations', () => {
  const row = { prompt: 'Hi', completion: 'Hello', conversations: turns };
  expect(parse(row)).toMatchObject({
    content: { kind: 'completion' },
    unusedColumns: ['conversations'],
  });
});

test.each([
  [{ conversations: [] }, 'conversations'],
  [{ conversations: [{ from: 'bot', value: 'x' }] }, 'conversations[0].from'],
  [{ conversations: [{ from: 'gpt', value: 3 }] }, 'conversations[0].value'],
  [{ conversations: ['x'] }, 'conversations[0]'],
  [{ conversations: turns.slice(0, 2) }, 'conversations'],
  [{ conversations: turns, image: 'a.png' }, 'image'],
  [{ conversations: turns, video: 'a.mp4' }, 'video'],
])('names the field of what is wrong in %j', (row, field) => {
  expect(() => parse(row)).toThrow(expect.objectContaining({ field }) as Error);
});

test('columns of images that hold none are as absent', () => {
  expect(parse({ conversations: turns, image: null, images: [] }).unusedColumns).toEqual([
    'image',
    'images',
  ]);
});
