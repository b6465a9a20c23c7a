import { processorMs } from '../../test/processor-time.js';
import { TemplateError, TemplateSyntaxError } from './errors.js';
import { type Limits } from './limits.js';
import { compileTemplate } from './template.js';

const date = { year: 2024, month: 1, day: 1 };

/** What a rendering that takes too much is refused with. */
function refusal(source: string, limits: Partial<Limits> = {}): string {
  try {
    compileTemplate(source).render({}, { date, limits });
  } catch (error) {
    if (error instanceof TemplateError && error.kind === 'limit') return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('limits of a rendering', () => {
  test('memory', () => {
    for (const source of [
      "{{ 'x' * 10**9 }}",
      '{{ [1] * 10**9 }}',
      "{{ 'x'.center(10**9) }}",
      "{{ 'x'.zfill(10**9) }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ ','.join(['x' * 10**6] * 1000) }}",
      "{{ ('a' * 10**5).replace('a', 'b' * 10**5) }}",
      "{{ range(100000) | map('string') | map('center', 10**5) | list }}",
      "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(10000) %}{% set ns.l = ns.l + ['y' * 10**6 ~ i] %}{% endfor %}",
    ])
      expect(refusal(source)).toContain('makes more than 512 MiB of values');
  });

  test('what is no longer reachable does not count', () => {
    const source =
      "{% set ns = namespace(s='') %}{% for i in range(5000) %}" +
      "{% set ns.s = ns.s + 'y' * 200 %}{% endfor %}{{ ns.s | length }}";
    const { text } = compileTemplate(source).render({}, { date });
    expect(text).toBe('1000000');
  });

  test('integers', () => {
    expect(refusal('{{ (2 ** (10 ** 8)) % 7 }}')).toContain('an int of more than');
    expect(() => compileTemplate('{{ 10 ** 4300 }}').render({}, { date })).toThrow('4300 digits');
  });

  test('output', () => {
    const source = "{% for i in range(100000) %}{{ 'y' * 10000 }}{% endfor %}";
    expect(refusal(source)).toContain('writes more than 64 Mi characters');
  });

  test('passes, of a million and more', () => {
    const nested = (count: number): string =>
      `{% for i in range(1000) %}{% for j in range(${count}) %}{% endfor %}{% endfor %}ok`;
    expect(compileTemplate(nested(1100)).render({}, { date }).text).toBe('ok');
    expect(refusal(nested(100000))).toContain('more than 10000000 passes');
  });

  test('time', () => {
    const source =
      "{% set a = 'a' * 10**7 %}{% for i in range(100000) %}{% set b = 'b' in a %}{% endfor %}";
    const startMs = processorMs();
    expect(refusal(source, { timeMs: 200 })).toContain('for more than 0.2 s');
    expect(processorMs() - startMs).toBeLessThan(5000);
  });

  test('calls inside each other', () => {
    for (const source of [
      '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
      '{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}',
      '{% block a %}{{ self.a() }}{% endblock %}',
    ])
      expect(refusal(source)).toContain('calls are more than 200 deep');
  });

  test('values inside each other', () => {
    const nest =
      '{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}';
    expect(refusal(`${nest}{{ ns.x }}`)).toContain('too deep');
    expect(refusal(`${nest}{{ ns.x | tojson }}`)).toContain('too deep');
  });
});

describe('limits of a template', () => {
  const many = 100_000;

  test.each([
    ['parentheses', `{{ ${'('.repeat(many)}1${')'.repeat(many)} }}`],
    ['signs', `{{ ${'-'.repeat(many)}1 }}`],
    ['not', `{{ ${'not '.repeat(many)}1 }}`],
    ['sums', `{{ 1${'+1'.repeat(many)} }}`],
    ['attributes', `{{ x${'.a'.repeat(many)} }}`],
    ['filters', `{{ x${'|e'.repeat(many)} }}`],
    ['conditions', `{{ 1${' if 1 else 1'.repeat(many)} }}`],
    ['blocks', '{% if 1 %}'.repeat(many)],
  ])('%s nested too deep are refused in good time', (_name, source) => {
    const startMs = processorMs();
    expect(() => compileTemplate(source)).toThrow(TemplateSyntaxError);
    expect(processorMs() - startMs).toBeLessThan(20_000);
  });

  test('long lists of operands are not nested', () => {
    expect(compileTemplate(`{{ 1${'~1'.repeat(5000)} }}`).render({}, { date }).text).toHaveLength(
      5001,
    );
  });
});
