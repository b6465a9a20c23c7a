import { PatternWorkError } from './match-pattern.js';
import { PatternError } from './node.js';
import { PathPatterns } from './path-pattern.js';

const path = 'model.layers.11.self_attn.q_proj';

describe('PathPatterns', () => {
  it.each([
    ['.*q_proj', true],
    ['q_proj', false],
    ['model', false],
    ['.*\\.(q|k)_proj', true],
    ['.*(q_proj|k_proj)|lm_head', true],
    ['model\\.layers\\.(?:[0-9]|1[01])\\..*', true],
    ['(?!.*mlp).*', true],
    ['.*(?<!k_proj)', true],
    ['.*(?<!q_proj)', false],
    ['[\\w.]+?', true],
    ['(?<name>model).*', true],
    ['lm_head|.*layers\\.\\d{2}\\..*$', true],
  ])('takes %s on the whole path', (source, isMatch) => {
    expect(new PathPatterns().compile(source).test(path)).toBe(isMatch);
  });

  it.each(['(', 'a)(b', '[a', '*', 'a++', '(a)\\1', 'a'.repeat(2001), '((a{1000}){1000}){1000}'])(
    'refuses %.20s',
    (source) => {
      expect(() => new PathPatterns().compile(source)).toThrow(PatternError);
    },
  );

  it.each([
    '(([a-z_]+|[0-9]+)+\\.?)+!',
    '(([a-z_]|[a-z])+[.0-9]*)+!',
    '(.*)*(.*)*(.*)*x!',
    '(?=(.|..)+!).*',
  ])('gives up on %s', (source) => {
    const pattern = new PathPatterns().compile(source);
    expect(() => [path, path.repeat(20)].map((each) => pattern.test(each))).toThrow(
      PatternWorkError,
    );
  });

  it('limits the work of many patterns and paths together', () => {
    const patterns = new PathPatterns();
    const many = Array.from({ length: 1000 }, (_, i) => patterns.compile(`((a|aa)+)+b{${i}}!`));
    expect(() => many.map((each) => each.test('a'.repeat(18)))).toThrow(PatternWorkError);
  });

  it('limits the sets of many patterns together', () => {
    const patterns = new PathPatterns();
    const compileAll = (): void => {
      for (let i = 0; i < 1100; i += 1) patterns.compile(String.fromCodePoint(0x4e00 + i));
    };
    expect(compileAll).toThrow(/more than 1024 different sets/);
  });
});
