import { countedIn, rateText } from './counted.js';

test('a job of services counts what its model makes', () => {
  expect(countedIn({ modelKind: 'text' })).toBe('tokens');
  expect(countedIn({ modelKind: 'pictures' })).toBe('pictures');
  expect(countedIn({ modelKind: 'unknown' })).toBe('tokens');
});

test('few pictures a second are told to a tenth', () => {
  expect(rateText(0.84, 'pictures')).toBe('0.8 pictures/s');
  expect(rateText(45.4, 'pictures')).toBe('45 pictures/s');
  expect(rateText(2.4, 'tokens')).toBe('2 tokens/s');
});
