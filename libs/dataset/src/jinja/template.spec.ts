import { readFileSync } from 'node:fs';

import { TemplateError, TemplateSyntaxError } from './errors.js';
import { parseJson } from './json-parse.js';
import { compileTemplate, type Rendering } from './template.js';
import { PyDict, type PyValue } from './values.js';

const date = { year: 2024, month: 5, day: 6 };

function render(source: string, variables: Record<string, PyValue> = {}): Rendering {
  return compileTemplate(source).render(variables, { date });
}

function toVariables(text: string): Record<string, PyValue> {
  const dict = parseJson(text);
  if (!(dict instanceof PyDict)) throw new Error('not a dict');
  return Object.fromEntries([...dict.entries()].map(([key, value]) => [String(key), value]));
}

/**
 * The first line has the variables; each other one a template and what jinja2 3.1 made of it, null
 * where it refused.
 */
const [variablesLine = '', ...caseLines] = readFileSync(
  new URL('./test-data/rendered.jsonl', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n');

function outcome(source: string, variables: Record<string, PyValue>): string | null {
  try {
    return render(source, variables).text;
  } catch (error) {
    if (error instanceof TemplateError || error instanceof TemplateSyntaxError) return null;
    throw error;
  }
}

describe('what jinja2 renders', () => {
  test('templates of every kind', () => {
    const variables = toVariables(variablesLine);
    const cases = caseLines.map((line) => JSON.parse(line) as [string, string | null]);
    expect(cases.length).toBeGreaterThan(500);
    const wrong = cases
      .map(([source, text]) => ({ source, text, got: outcome(source, variables) }))
      .filter(({ text, got }) => text !== got);
    expect(wrong).toEqual([]);
  });

  test('numbers keep what the row says', () => {
    const row = '{"d": {"10": 2512292042121000001, "2": 20.0, "a": 1e-5, "b": -0.0, "c": 1.50}}';
    const { text } = render('{{ d }}|{{ d | tojson }}', toVariables(row));
    expect(text).toBe(
      "{'10': 2512292042121000001, '2': 20.0, 'a': 1e-05, 'b': -0.0, 'c': 1.5}|" +
        '{"10": 2512292042121000001, "2": 20.0, "a": 1e-05, "b": -0.0, "c": 1.5}',
    );
  });

  test('not finite numbers', () => {
    const variables = toVariables('{"x": [NaN, Infinity, -Infinity]}');
    const { text } = render('{{ x }}{{ x | tojson }}{{ x == x }}{{ x[0] == x[0] }}', variables);
    expect(text).toBe('[nan, inf, -inf][NaN, Infinity, -Infinity]TrueFalse');
  });

  test('one template renders many rows', () => {
    const template = compileTemplate('{% set ns = namespace(n=0) %}{{ ns.n }}{{ x }}');
    expect([1, 2].map((x) => template.render({ x }, { date }).text)).toEqual(['01', '02']);
  });
});

describe('refusals', () => {
  test('the text of raise_exception is the message', () => {
    const source = "\n{{ raise_exception('no ' ~ role) }}";
    const error = caught(() => render(source, { role: 'robot' }));
    expect(error).toMatchObject({ kind: 'raised', message: 'no robot', line: 2 });
  });

  test('a runtime error names the line of the statement', () => {
    const error = caught(() => render("{% if true %}\n\n{{ 'a' + 1 }}{% endif %}"));
    expect(error).toMatchObject({ kind: 'runtime', line: 3, exception: 'TypeError' });
  });

  test('unknown filters and tests are refused when the template is compiled', () => {
    expect(() => compileTemplate('a\n{{ x|nope }}')).toThrow('line 2 of the template: No filter');
    expect(() => compileTemplate('{{ x is nope }}')).toThrow(TemplateSyntaxError);
    expect(render('{% if false %}{{ x|nope }}{% endif %}').text).toBe('');
  });

  test('what differs each time is refused', () => {
    expect(() => render('{{ [1]|random }}')).toThrow('random is not supported');
    expect(() => render('{{ lipsum() }}')).toThrow('lipsum is not supported');
  });
});

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** The marked parts of what is rendered. */
function marked(source: string, variables: Record<string, PyValue> = {}): string[] {
  const { text, generations } = render(source, variables);
  return generations.map(({ start, end }) => text.slice(start, end));
}

const G = (text: string): string => `{% generation %}${text}{% endgeneration %}`;

describe('generation marks', () => {
  test('are known before rendering', () => {
    expect(compileTemplate(`{% macro f() %}${G('x')}{% endmacro %}`).hasGenerationMarks).toBe(true);
    expect(compileTemplate('{{ "{% generation %}" }}').hasGenerationMarks).toBe(false);
  });

  test('stand where the text stands at last', () => {
    const { text, generations } = render(`a${G('bc')}d${G('e')}`);
    expect(text).toBe('abcde');
    expect(generations).toEqual([
      { start: 1, end: 3 },
      { start: 4, end: 5 },
    ]);
  });

  test.each([
    ['a macro', `{% macro f(t) %}<${G('{{ t }}')}>{% endmacro %}x{{ f('a') }}{{ f('b') }}`],
    [
      'a call block',
      `{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}${G('a')}{% endcall %}${G('b')}`,
    ],
    ['a block that is set', `{% set s %}-${G('a')}-{% endset %}..{{ s }}.${G('b')}`],
    ['+ and ~', `{% set s %}-${G('a')}{% endset %}{{ 'x' + s ~ 'y' }}${G('b')}`],
    ['strip and trim', `{% set s %}  ${G(' a ')}{% endset %}{{ s.strip() }}${G('b')}`],
    ['join', `{% set s %}-${G('a')}{% endset %}{{ [s, 'x'] | join(', ') }}${G('b')}`],
    ['slices', `{% set s %}--${G('zaz')}--{% endset %}{{ s[3:4] }}-${G('b')}`],
    ['a block', `{% block q %}-${G('a')}{% endblock %}${G('b')}`],
    [
      'a recursive loop',
      `{% for i in [[0]] recursive %}{{ loop(i) if i else '' }}{% if not i %}${G('a')}{% endif %}{% endfor %}${G('b')}`,
    ],
  ])('go through %s', (_name, source) => {
    expect(marked(source)).toEqual(['a', 'b']);
  });

  test('inside each other are one', () => {
    expect(marked(G(`a${G('b')}c`))).toEqual(['abc']);
  });

  test('are not lost without a word', () => {
    const source = `{% set s %}x${G('a')}{% endset %}{{ s | upper }}`;
    expect(() => render(source)).toThrow('applies upper to a text with {% generation %} marks');
    expect(() => render(source.replace('upper', "replace('x', '')"))).toThrow('marks');
    // Text without a mark, and a mark in what is never written, do not matter.
    expect(marked(`{% set s %}x{% endset %}{{ s | upper }}${G('b')}`)).toEqual(['b']);
    expect(marked(`{% set s %}${G('a')}{% endset %}{{ s | length }}`)).toEqual([]);
  });
});

describe('places of items', () => {
  const messages = [1, 2, 3].map((n) => PyDict.fromEntries([['n', n]]));

  function offsets(source: string): (number | undefined)[] {
    const options = { date, trackItems: new Set<PyValue>(messages) };
    const { itemOffsets } = compileTemplate(source).render({ messages }, options);
    return messages.map((message) => itemOffsets.get(message));
  }

  test('are where the pass of a loop began', () => {
    expect(offsets('ab{% for m in messages %}<{{ m.n }}>{% endfor %}')).toEqual([2, 5, 8]);
  });

  test('are those of the last loop that wrote something', () => {
    const scan = '{% for m in messages %}{% set x = m %}{% endfor %}';
    const write = '{% for m in messages %}{{ m.n }}{% endfor %}';
    expect(offsets(`a${scan}${write}b${scan}`)).toEqual([1, 2, 3]);
    expect(offsets(`a${write}${write}`)).toEqual([4, 5, 6]);
    expect(offsets(`a${scan}`)).toEqual([1, 1, 1]);
  });

  test('are not those of loops in macros, in captures, or inside a pass', () => {
    const write = '{% for m in messages %}{{ m.n }}{% endfor %}';
    expect(offsets(`{% set s %}${write}{% endset %}{{ s }}`)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(offsets(`{% macro f() %}${write}{% endmacro %}${write}{{ f() }}`)).toEqual([0, 1, 2]);
    expect(offsets(`{% for m in messages %}-${write}{% endfor %}`)).toEqual([0, 4, 8]);
  });

  test('are found through filters, slices and tests', () => {
    const source = "{% for m in messages[1:] | selectattr('n') if m.n %}{{ m.n }}{% endfor %}";
    expect(offsets(source)).toEqual([undefined, 0, 1]);
  });
});
