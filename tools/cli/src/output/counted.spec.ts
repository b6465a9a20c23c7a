import { countedIn, rateText } from './counted.js';

test('a remote job counts pictures where it has an option of models that make them', () => {
  const options = { model: 'server:a', data: 'server:b' } as Parameters<
    typeof countedIn
  >[0]['options'];
  expect(countedIn({ options })).toBe('tokens');
  expect(countedIn({ options: { ...options, instancePrompt: 'a photo of sks dog' } })).toBe(
    'pictures',
  );
  expect(countedIn({ options: { ...options, resolution: 512 } })).toBe('pictures');
  expect(countedIn({ options: { ...options, buckets: true } })).toBe('pictures');
  expect(countedIn({ options: { ...options, buckets: false, steps: 9 } })).toBe('tokens');
});

test('few pictures a second are told to a tenth', () => {
  expect(rateText(0.84, 'pictures')).toBe('0.8 pictures/s');
  expect(rateText(45.4, 'pictures')).toBe('45 pictures/s');
  expect(rateText(2.4, 'tokens')).toBe('2 tokens/s');
});
