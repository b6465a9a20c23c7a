import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { inTemporaryFolder } from '../../test/model-folder.js';
import { readRows } from './read-rows.js';
import { scanRows } from './scan-rows.js';

function inFile<T>(content: string | Uint8Array, body: (path: string) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'rows');
    await writeFile(path, content);
    return body(path);
  });
}

/** Line and columns of each row; in place of columns what is wrong with it. */
const read = (content: string | Uint8Array): Promise<[number, unknown][]> =>
  inFile(content, async (path) => {
    const rows: [number, unknown][] = [];
    for await (const { number, bytes, fault } of readRows(path))
      rows.push([number, fault?.reason ?? (JSON.parse(Buffer.from(bytes).toString()) as unknown)]);
    return rows;
  });

describe('a CSV file', () => {
  const two = [
    [2, { prompt: 'a', completion: 'b' }],
    [3, { prompt: 'c', completion: 'd' }],
  ];

  it.each([
    ['line feeds', 'prompt,completion\na,b\nc,d\n'],
    ['no end of the last line', 'prompt,completion\na,b\nc,d'],
    ['carriage returns and line feeds', 'prompt,completion\r\na,b\r\nc,d\r\n'],
    ['carriage returns', 'prompt,completion\ra,b\rc,d\r'],
    ['a byte order mark', '\ufeffprompt,completion\na,b\nc,d\n'],
    ['a byte order mark and quotes', '\ufeff"prompt","completion"\n"a","b"\n"c","d"\n'],
    ['gzip', gzipSync('prompt,completion\na,b\nc,d\n')],
  ])('has rows by the names of its header, with %s', async (_, content) => {
    expect(await read(content)).toEqual(two);
  });

  it('has commas, quotes and line ends within quotes, and lines by their beginning', async () => {
    const content = 'text,id\r\n"a, ""b""\r\nc\n\nd",1\r\n\r\n"e",2\r\n';
    expect(await read(content)).toEqual([
      [2, { text: 'a, "b"\r\nc\n\nd', id: '1' }],
      [7, { text: 'e', id: '2' }],
    ]);
  });

  it('may have one column, and names of a JSON word', async () => {
    expect(await read('text\nHi, you\n')).toEqual([[2, 'has 2 fields, the header has 1']]);
    expect(await read('"text"\nHi\n')).toEqual([[2, { text: 'Hi' }]]);
    expect(await read('nullable,__proto__\na,b\n')).toEqual([
      [2, JSON.parse('{"nullable": "a", "__proto__": "b"}')],
    ]);
  });

  it('has null for what is empty', async () => {
    expect(await read(',prompt,completion\n0,,""\n')).toEqual([
      [2, { '': '0', prompt: null, completion: null }],
    ]);
  });

  it('may have several columns without a name, as spreadsheets leave them', async () => {
    expect(await read('prompt,completion,,\na,b,,\nc,d,x,\n')).toEqual([
      [2, { prompt: 'a', completion: 'b', '': null }],
      [3, { prompt: 'c', completion: 'd', '': null }],
    ]);
  });

  it('is read across chunks, in any letters', async () => {
    const text = 'é "🙂"\n'.repeat(20_000);
    const field = `"${text.replaceAll('"', '""')}"`;
    const rows = await read(`text\n${field}\n${field}\n`);
    expect(rows).toEqual([
      [2, { text }],
      [20_003, { text }],
    ]);
  });

  it('tells a row of another width or another encoding by its line, and goes on', () =>
    inFile(
      Buffer.concat([
        Buffer.from('prompt,completion\na\n'),
        Buffer.from('b,caf\xe9\n', 'latin1'),
        Buffer.from('c,d\n'),
      ]),
      async (path) => {
        expect(await scanRows({ path, maxBytes: 2 ** 20, maxMs: 60_000 })).toEqual({
          rows: 1,
          isWhole: true,
          problems: [
            { line: 2, field: null, reason: 'has 1 fields, the header has 2' },
            { line: 3, field: null, reason: 'is not valid UTF-8' },
          ],
        });
      },
    ));

  it.each([
    ['a quote that does not end', 'text,id\n"secret,1\n\n', ':2: has a quotation mark that'],
    ['more behind a quote', 'text,id\na,1\n"secret"x,1\n', ':3: has characters behind'],
    ['a quote within', 'text,id\na,1\nsecret"x",1\n', ':3: has a quotation mark in a field'],
    ['semicolons', 'prompt;completion\na;b\n', ':1: the header is one name with semicolons'],
    ['tabs', 'prompt\tcompletion\na\tb\n', ':1: the header is one name with semicolons or tabs'],
    ['a name twice', 'text,id,text\n', ':1: the header has the name of its column 3 twice'],
    ['too many fields', `text,id\n${','.repeat(10_001)}\n`, ':2: has more than 10000 fields'],
    ['a header of other bytes', Buffer.from('caf\xe9\n', 'latin1'), ':1: the header is not valid'],
  ])('is refused with %s', async (_, content, reason) => {
    await expect(read(content)).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringContaining(reason) as string,
    });
    await expect(read(content)).rejects.not.toThrow('secret');
  });

  it('has the rows before what cannot be read', () =>
    inFile('text,id\na,1\nb,2\n"c', async (path) => {
      const lines: number[] = [];
      const reading = (async () => {
        for await (const { number } of readRows(path)) lines.push(number);
      })();
      await expect(reading).rejects.toMatchObject({ code: 'DATASET_UNREADABLE' });
      expect(lines).toEqual([2, 3]);
    }));
});

test.each(['3\n', '-1\n', 'null\n', 'true', '{"a": 1}\n', '{"a'])(
  '%j is a line of JSON lines, be it right or wrong',
  (content) =>
    inFile(content, async (path) => {
      for await (const { number, bytes } of readRows(path))
        expect([number, Buffer.from(bytes).toString()]).toEqual([1, content.trim()]);
    }),
);
