import { messageOf } from './message-of.js';

test.each([
  [new RangeError('too far'), 'too far'],
  [{ message: 'of another realm' }, 'of another realm'],
  [{ message: 7 }, '[object Object]'],
  ['text', 'text'],
  [null, 'null'],
])('the text of %p is %p', (thrown, text) => {
  expect(messageOf(thrown)).toBe(text);
});
