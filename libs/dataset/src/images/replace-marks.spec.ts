import { replaceMarks } from './replace-marks.js';

test('pieces are replaced, and places follow what they stand at', () => {
  const { text, count, moved } = replaceMarks('ab##cd##ef', '##', (index) => '12345'.slice(index));
  expect(text).toBe('ab12345cd2345ef');
  expect(count).toBe(2);
  const places = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10].map(moved);
  expect(places).toEqual([0, 1, 2, 2, 7, 8, 9, 9, 13, 15]);
  expect([...'abcdef'].map((letter) => text[moved('ab##cd##ef'.indexOf(letter))])).toEqual([
    ...'abcdef',
  ]);
});

test('a text without the piece stays', () => {
  const { text, count, moved } = replaceMarks('abc', '##', () => 'x');
  expect([text, count, moved(3)]).toEqual(['abc', 0, 3]);
});
