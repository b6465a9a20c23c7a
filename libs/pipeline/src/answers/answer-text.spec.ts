import { AnswerText } from './answer-text.js';

/** Tokens are bytes: characters are split over several. */
const bytes = {
  decode: (ids: ArrayLike<number>) => new TextDecoder().decode(Uint8Array.from(ids)),
};

/** What is shown after each token, and how the answer ends. */
function answered(
  text: string,
  stops: readonly string[],
): { parts: string[]; text: string; isStopped: boolean; tokens: number } {
  const parts: string[] = [];
  const answer = new AnswerText(bytes, stops, (part) => parts.push(part));
  let tokens = 0;
  for (const byte of new TextEncoder().encode(text)) {
    tokens += 1;
    if (answer.add(byte)) break;
  }
  answer.end();
  return { parts, text: answer.text, isStopped: answer.isStopped, tokens };
}

describe('the text of an answer', () => {
  it('never has half a character', () => {
    const text = 'né 日本 👩‍👧!';
    const { parts, text: whole } = answered(text, []);
    expect([parts.join(''), whole]).toEqual([text, text]);
    expect(parts.length).toBeGreaterThan(8);
    expect(parts.join('|')).not.toContain('\ufffd');
  });

  it('ends before a stop text whose parts come in several tokens', () => {
    const { parts, isStopped, tokens } = answered('one END two', ['END']);
    expect([parts.join(''), isStopped, tokens]).toEqual(['one ', true, 7]);
  });

  it('ends before a stop text of characters that are split', () => {
    expect(answered('eins 日本 zwei', ['本'])).toMatchObject({ text: 'eins 日', isStopped: true });
  });

  it('shows what only began as a stop text, at the latest at its end', () => {
    expect(answered('EN route ENEND', ['END'])).toMatchObject({ text: 'EN route EN' });
    const open = answered('the EN', ['END']);
    expect([open.text, open.isStopped, open.parts.at(-1)]).toEqual(['the EN', false, 'EN']);
  });

  it('ends at the stop text that is complete first', () => {
    expect(answered('abcabd', ['abd', 'bca']).text).toBe('a');
    expect(answered('aaab', ['aab']).text).toBe('a');
  });

  it('shows nothing where it begins with a stop text', () => {
    expect(answered('\n\nyes', ['\n'])).toMatchObject({ parts: [], text: '', tokens: 1 });
  });
});
