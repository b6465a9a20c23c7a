import { createDice } from './dice.js';
import { mutateJson } from './mutate-json.js';
import { mutateText } from './mutate-text.js';
import { mutateMessage } from './wire.js';

const document = { a: [1, { b: 'text' }], c: null, d: { e: true, f: 2.5 } };
const made = (seed: number): string[] =>
  Array.from({ length: 200 }, (_, i) => mutateJson(document, createDice(seed, `case ${i}`), ['F']));

describe('mutateJson', () => {
  it('makes the same of the same seed, and other documents of others', () => {
    expect(made(1)).toEqual(made(1));
    expect(new Set([...made(1), ...made(2)]).size).toBeGreaterThan(300);
  });

  it('changes the document, mostly into one that is still JSON', () => {
    const texts = made(3);
    const parsed = texts.filter((text) => {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    });
    expect(parsed.length).toBeGreaterThan(100);
    expect(parsed.length).toBeLessThan(200);
    expect(texts.filter((text) => text === JSON.stringify(document)).length).toBeLessThan(20);
  });
});

it('mutateText changes texts, empty ones too', () => {
  const texts = Array.from({ length: 50 }, (_, i) => mutateText('', createDice(1, `${i}`), ['{{']));
  expect(texts).toContainEqual(expect.stringContaining('{{'));
});

it('mutateMessage changes fields within messages within messages', () => {
  // Field 1: a message whose field 1 is the text "abc"; field 2: the number 150.
  const message = Buffer.from([0x0a, 5, 0x0a, 3, 0x61, 0x62, 0x63, 0x10, 0x96, 1]);
  const changed = Array.from({ length: 300 }, (_, i) =>
    mutateMessage(message, createDice(1, `${i}`)),
  );
  const keepsNumber = changed.filter((bytes) => bytes.subarray(-3).equals(message.subarray(-3)));
  expect(keepsNumber.some((bytes) => bytes[0] === 0x0a && bytes[2] === 0x0a)).toBe(true);
  expect(new Set(changed.map((bytes) => bytes.toString('hex'))).size).toBeGreaterThan(200);
});
