import { burdenOf } from './config-burden.js';

describe('burdenOf', () => {
  it.each([
    '',
    'rank: 8\nratio:\n  - ".*q_proj=0.4"\n  - 0.5\n',
    `targets: ${'x'.repeat(1_000_000)}\n`,
    'template-args: \'{"a": [1, {"b": [2]}]}\'\n',
    '# a - b ? c : d\n---\nlr: 1e-4',
  ])('bears %.40j', (text) => {
    expect(burdenOf(text)).toBeNull();
  });

  it.each([
    ['brackets', `a: ${'['.repeat(200)}`, /line 1 has more than 100 open brackets/],
    ['brackets over lines', 'a: [\n'.repeat(101), /line 101 .*open brackets/],
    ['braces', 'a:\n {b: '.repeat(101), /open brackets/],
    ['lists in a line', `x: y\n${'- '.repeat(101)}x`, /line 2 has more than 100 of "-"/],
    ['keys in a line', '? '.repeat(20_000), /line 1 has more than 100 of "-"/],
    ['indentation', ' '.repeat(201), /line 1 is indented by more than 200/],
    ['keys', 'a: 1\n'.repeat(25_001), /50002 marks of YAML, more than 50000/],
    ['tags', '!a '.repeat(50_001), /marks of YAML/],
  ])('refuses too many %s', (_, text, reason) => {
    expect(burdenOf(text)).toMatch(reason);
  });
});
