import { JsonSyntaxError } from './errors.js';
import { parseJson } from './json-parse.js';
import { PyFloat } from './scalars.js';
import { toJson } from './to-json.js';
import { PyDict, PyTuple } from './values.js';

function failure(text: string): { reason: string; position: number } {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return { reason: error.reason, position: error.position };
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('parseJson', () => {
  test('numbers are what Python makes of them', () => {
    const numbers = '[0, -0, -0.0, 20.0, 1.50, 1E5, 0.00001, 2512292042121000001, -12, 1e400]';
    expect(toJson(parseJson(numbers))).toBe(
      '[0, 0, -0.0, 20.0, 1.5, 100000.0, 1e-05, 2512292042121000001, -12, Infinity]',
    );
    expect(parseJson('9007199254740991')).toBe(9007199254740991);
    expect(parseJson('9007199254740993')).toBe(9007199254740993n);
    expect(parseJson('1.0')).toEqual(new PyFloat(1));
    expect(toJson(parseJson('[NaN, Infinity, -Infinity]'))).toBe('[NaN, Infinity, -Infinity]');
  });

  test('keys stay in their order, and the last of two counts at the place of the first', () => {
    const text = '{"10": 1, "2": 2, "__proto__": 3, "10": 4, "": 5}';
    expect(toJson(parseJson(text))).toBe('{"10": 4, "2": 2, "__proto__": 3, "": 5}');
  });

  test('strings', () => {
    expect(parseJson('"a\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"')).toBe(
      'a"\\/\b\f\n\r\té\u{1f600}',
    );
    expect(parseJson('"\\ud800"')).toBe('\ud800');
    expect(parseJson('"\u2028\x7f"')).toBe('\u2028\x7f');
    expect(parseJson(' \t\r\n{ "a" : [ ] , "b" : { } } ')).toEqual(
      PyDict.fromEntries([
        ['a', []],
        ['b', new PyDict()],
      ]),
    );
  });

  test.each([
    ['', 'Expecting value', 0],
    ['{"a" 1}', "Expecting ':' delimiter", 5],
    ['{"a": 1 "b"}', "Expecting ',' delimiter", 8],
    ['{a: 1}', 'Expecting property name enclosed in double quotes', 1],
    ['[1,]', 'Expecting value', 3],
    ['{"a": 1,}', 'Expecting property name enclosed in double quotes', 8],
    ['1 2', 'Extra data', 2],
    ['01', 'Extra data', 1],
    ['"a\nb"', 'Invalid control character at', 2],
    ['"abc', 'Unterminated string starting at', 0],
    ['"a\\x"', 'Invalid \\escape', 2],
    ['"\\u12g4"', 'Invalid \\uXXXX escape', 2],
    ['tru', 'Expecting value', 0],
    ['\ufeff{}', 'Expecting value', 0],
    ["{'a': 1}", 'Expecting property name enclosed in double quotes', 1],
  ])('%j is refused: %s at %d', (text, reason, position) => {
    expect(failure(text)).toEqual({ reason, position });
  });

  test('depth and digits have limits', () => {
    expect(toJson(parseJson(`${'['.repeat(900)}${']'.repeat(900)}`))).toHaveLength(1800);
    expect(failure('['.repeat(100_000)).reason).toBe('nested more than 1000 deep');
    expect(() => parseJson('[[[]]]', { maxDepth: 2 })).toThrow('nested more than 2 deep');
    expect(failure(`[${'[],'.repeat(500_000)}0]`).reason).toBe('more than 4000000 values');
    expect(failure('1'.repeat(4301)).reason).toBe('an integer has more than 4300 digits');
  });

  test('an error holds nothing of the text', () => {
    expect(() => parseJson('{"secret": oops}')).toThrow(/^Expecting value at character 12$/);
  });
});

describe('toJson', () => {
  test('writes as json.dumps without ASCII alone', () => {
    const value = PyDict.fromEntries([
      ['é\u2028\x7f', '\u{1f600}\ud800"\\\x00\n'],
      [1, null],
      [null, true],
      [new PyFloat(1.5), new PyTuple([1, new PyFloat(2)])],
    ]);
    expect(toJson(value)).toBe(
      '{"é\u2028\x7f": "\u{1f600}\ud800\\"\\\\\\u0000\\n", "1": null, "null": true, "1.5": [1, 2.0]}',
    );
  });

  test('refuses what JSON has not', () => {
    expect(() => toJson(PyDict.fromEntries([[new PyTuple([1]), 2]]))).toThrow('keys must be str');
  });
});

describe('PyDict', () => {
  test('keys are equal as in Python', () => {
    const dict = PyDict.fromEntries([
      [1, 'int'],
      [true, 'bool'],
      [new PyFloat(1), 'float'],
      ['1', 'text'],
      [new PyTuple([1, 'a']), 'tuple'],
    ]);
    expect([...dict.keys()]).toEqual([1, '1', new PyTuple([1, 'a'])]);
    expect(dict.get(1)).toBe('float');
    expect(dict.get(new PyTuple([new PyFloat(1), 'a']))).toBe('tuple');
    expect(() => dict.get([])).toThrow("unhashable type: 'list'");
  });
});
