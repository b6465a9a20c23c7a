import { parseCsv } from './read-csv.js';

const fields = (text: string): (readonly string[])[] => parseCsv(text).map((each) => each.fields);

describe('parseCsv', () => {
  it.each([
    [
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'a,b\r\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'a,b\n\n1,\n',
      [
        ['a', 'b'],
        ['1', ''],
      ],
    ],
    [
      'a,b\n,2',
      [
        ['a', 'b'],
        ['', '2'],
      ],
    ],
    ['x,"a, ""b"" c"\n', [['x', 'a, "b" c']]],
    ['x,"two\nlines",z', [['x', 'two\nlines', 'z']]],
    ['a,', [['a', '']]],
    ['', []],
  ])('of %j has the fields', (text, right) => {
    expect(fields(text)).toEqual(right);
  });

  it('says on which line a record begins', () => {
    const records = parseCsv('a,b\n"1\n2",3\n\n4,5\n');

    expect(records.map(({ line }) => line)).toEqual([1, 2, 5]);
  });

  it.each(['a,"b', 'a,b\nc,"d"e\n'])('refuses quotation marks that do not match: %j', (text) => {
    expect(() => parseCsv(text)).toThrow('has a quotation mark that does not end');
  });
});
