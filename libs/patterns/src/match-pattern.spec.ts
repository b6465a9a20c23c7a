import process from 'node:process';

import { PatternMatcher } from './match-pattern.js';

function matches(pattern: string, text: string): string[] {
  const found: string[] = [];
  new PatternMatcher(pattern).forEachMatch(text, (start, end) =>
    found.push(text.slice(start, end)),
  );
  return found;
}

describe('PatternMatcher', () => {
  it.each([
    ['a|ab', 'abab', ['a', 'a']],
    ['(?:a|ab)b', 'ab abb', ['ab', 'ab']],
    ['a{2,3}', 'aaaaaaa', ['aaa', 'aaa']],
    ['a{,2}b', 'aaab', ['aab']],
    ['a{2}+', 'aaaaa', ['aaaa']],
    ['a+?', 'aa', ['a', 'a']],
    ['a++a|b', 'aaab', ['b']],
    ['(?>a|ab)c', 'abc ac', ['ac']],
    ['(?<=x)a|(?<!x)b', 'xaab xb', ['a', 'b']],
    ['a(?=b)|c(?!d)', 'ab ac cd', ['a', 'c']],
    ['^a|b$', 'a\nab\nb', ['a', 'a', 'b', 'b']],
    ['\\Aa|b\\z', 'aab\nab', ['a', 'b']],
    ['\\bté\\b', 'té étés té.', ['té', 'té']],
    ['\\h+', 'xyz 1fG', ['1f']],
    ['\\s+', 'a\u0085b\ufeffc\u2003d', ['\u0085', '\u2003']],
    ['[^\\S\\n]+', ' \t\n \u3000', [' \t', ' \u3000']],
    ['\\d+', '1٢३²', ['1٢३']],
    ['\\w', '²½x_', ['²', '½', 'x', '_']],
    ['[\\w]', '²½x_', ['x', '_']],
    ['(?i:k)+', 'kK\u212a', ['kK\u212a']],
    ["(?i:'s)", "'s'S'\u017f", ["'s", "'S", "'\u017f"]],
    ['[a-z&&[^aeiou]]+', 'hello', ['h', 'll']],
    ['[[:upper:]][[:^upper:]]', 'aBcD', ['Bc']],
    ['.', 'a\n😀', ['a', '😀']],
    ['(?m:.)', '\n', ['\n']],
    ['(?x) a b # rest', 'ab', ['ab']],
    ['x*', 'axb', ['', 'x', '']],
    ['(a|)+', 'aab', ['aa', '']],
    ['\\p{^L}\\P{N}', '1a', ['1a']],
    ['\\x{1F600}\\u0061\\101', '😀aA', ['😀aA']],
    ['\\R', 'a\r\nb\u2028', ['\r\n', '\u2028']],
  ])('finds %s', (pattern, text, right) => {
    expect(matches(pattern, text)).toEqual(right);
  });

  it('takes repeated borders of loops that take nothing only once', () => {
    expect(matches('(?:a*)*b', 'aab')).toEqual(['aab']);
    expect(matches('(?:|a)*', 'a')).toEqual(['', '']);
  });

  it('shares a compiled pattern with another, each within a match of its own', () => {
    const outer = new PatternMatcher('\\w+');
    const inner = new PatternMatcher(outer);
    const found: string[] = [];
    outer.forEachMatch('ab cd', (start, end) =>
      inner.forEachMatch('x yz', (from, to) => found.push(`${start}-${end} ${from}-${to}`)),
    );
    expect(found).toEqual(['0-2 0-1', '0-2 2-4', '3-5 0-1', '3-5 2-4']);
  });

  it('goes back over long runs in steady time', () => {
    const start = process.cpuUsage();
    expect(matches('\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+', `${' '.repeat(1_000_000)}x`)).toHaveLength(2);
    const { user, system } = process.cpuUsage(start);
    expect(user + system).toBeLessThan(5_000_000);
  });

  it.each(['(', ')', '[a', '\\p{', '*a', '[z-a]', '(?<n', '\\k<n>', '\\X', '(?~a)', '(?i:ss)'])(
    'refuses %s',
    (pattern) => {
      expect(() => new PatternMatcher(pattern)).toThrow(
        expect.objectContaining({ name: 'PatternError' }),
      );
    },
  );
});
