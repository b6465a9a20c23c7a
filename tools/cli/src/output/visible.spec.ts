import { told, visible } from './visible.js';

describe('what is printed', () => {
  it('has none of the characters that a terminal obeys', () => {
    expect(visible('a\u001b[2J\u009b\u007f\u202e\u2066\tb\n')).toBe(
      'a\\u001b[2J\\u009b\\u007f\\u202e\\u2066\tb\n',
    );
  });

  it('is cut in the middle of lines that are as long as none has to be', () => {
    const [first, second] = told(`error: ${'x'.repeat(1_000_000)}, at most 9\nshort`).split('\n');
    expect(first).toMatch(/^error: x{793} … x{189}, at most 9$/);
    expect(second).toBe('short');
  });
});
