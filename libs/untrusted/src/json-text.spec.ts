import { JsonTextError, parseJsonText } from './json-text.js';

const nested = (open: string, close: string, depth: number, inner = ''): string =>
  `${open.repeat(depth)}${inner}${close.repeat(depth)}`;

function reasonOf(text: string): string {
  try {
    parseJsonText(text);
  } catch (error) {
    if (error instanceof JsonTextError) return error.reason;
    throw error;
  }
  throw new Error('was parsed');
}

describe('parseJsonText', () => {
  it.each([
    '{"a":[1,-2.5e+3,"\\u0041\\"]}{","",true,false,null,{}]}',
    ' [ ] ',
    '"}}}}"',
    '3',
    nested('[', ']', 100),
    `["${'['.repeat(1000)}"]`,
    '["\\\\","\\\\\\"[[["]',
  ])('parses %.40s', (text) => {
    expect(parseJsonText(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ['lists', nested('[', ']', 100_000)],
    ['objects', nested('{"a":', '}', 100_000, '1')],
    ['what never ends', '['.repeat(5_000_000)],
    ['mixed', nested('[{"a":', '}]', 60, '1')],
  ])('refuses %s that are nested deep, by place', (_, text) => {
    expect(reasonOf(text)).toMatch(/^it is nested more than 100 deep \(line 1, column \d+\)$/);
  });

  it('takes another depth, and says under which key it was passed', () => {
    expect(() => parseJsonText('[[[]]]', { maxDepth: 2 })).toThrow(
      expect.objectContaining({ position: 2, key: null }),
    );
    expect(() => parseJsonText('{"a":"b","c\\n":{"d":[1]}}', { maxDepth: 2 })).toThrow(
      expect.objectContaining({ key: 'c\n' }),
    );
  });

  it('refuses more values than are kept', () => {
    expect(reasonOf(`[${'0,'.repeat(5_000_001)}0]`)).toMatch(/more than 5000000 values/);
  });

  it.each([
    ['', 'it ends where a value is expected (line 1, column 1)'],
    ['{', 'it ends where a key in double quotes or the end of the object is expected'],
    ['{"a":1,\n "b" 2}', 'a colon is expected (line 2, column 6)'],
    ['{"a":1,}', 'a key in double quotes is expected (line 1, column 8)'],
    ['[1 2]', 'a comma or the end of a list or object is expected (line 1, column 4)'],
    ['[1]]', 'nothing more is expected (line 1, column 4)'],
    ['[1}', 'a comma or the end of a list or object is expected (line 1, column 3)'],
    ['[1,]', 'a value is expected (line 1, column 4)'],
    ['{"a": NaN}', 'this is no value of JSON (line 1, column 7)'],
    ['[01]', 'this is no value of JSON (line 1, column 2)'],
    ['["\\x"]', 'an escape that JSON does not have'],
    ['["\n"]', 'a control character'],
    ['"abc', 'this text has no end'],
    ["{'a': 1}", 'this is no value of JSON'],
    [`["${'\\u0041'.repeat(2_000_000)}" 1]`, 'a comma or the end'],
    [`[${'1'.repeat(20_000_000)} 1]`, 'a comma or the end'],
  ])('says where %.30j is wrong, and nothing of the text', (text, reason) => {
    expect(reasonOf(text)).toContain(reason);
    expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  });
});
