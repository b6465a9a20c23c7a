import { ChatLines, type ChatInput } from './chat-input.js';

function inputsOf(...lines: readonly string[]): (ChatInput | null)[] {
  const chat = new ChatLines();
  return [...lines.map((line) => chat.add(line)), chat.end()].filter((input) => input !== null);
}

const question = (text: string): ChatInput => ({ kind: 'question', text });

describe('lines of a chat', () => {
  it('are questions, one each, and nothing where they are empty', () => {
    expect(inputsOf('Who?', '', '   ', ' And why? ')).toEqual([
      question('Who?'),
      question(' And why? '),
    ]);
  });

  it('are one question between quotation marks', () => {
    expect(inputsOf('"""', 'a', '', '/exit', ' """ ', 'b')).toEqual([
      question('a\n\n/exit'),
      question('b'),
    ]);
    expect(inputsOf('"""', '"""')).toEqual([]);
  });

  it('are a question where the quotation marks are not closed', () => {
    expect(inputsOf('"""', 'a', 'b')).toEqual([question('a\nb')]);
  });

  it('are commands where a word with a slash stands alone', () => {
    expect(inputsOf('/reset', '/help ', '/exit', '/rest', '/usr/bin', '/help me')).toEqual([
      { kind: 'reset' },
      { kind: 'help' },
      { kind: 'exit' },
      { kind: 'unknown', word: '/rest' },
      question('/usr/bin'),
      question('/help me'),
    ]);
  });
});
