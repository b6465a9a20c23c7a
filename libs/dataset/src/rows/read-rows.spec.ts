import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { inTemporaryFolder } from '../../test/model-folder.js';
import { readRows } from './read-rows.js';

function read(content: string | Uint8Array): Promise<[number, string][]> {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'rows');
    await writeFile(path, content);
    const rows: [number, string][] = [];
    for await (const { number, bytes } of readRows(path))
      rows.push([number, Buffer.from(bytes).toString()]);
    return rows;
  });
}

describe('lines', () => {
  it('are numbered as they stand in the file, without a byte order mark', async () => {
    expect(await read('\uFEFF{"a":1}\r\n\n{"b":2}')).toEqual([
      [1, '{"a":1}\r'],
      [2, ''],
      [3, '{"b":2}'],
    ]);
  });

  it('are none in an empty file', async () => {
    expect(await read('')).toEqual([]);
  });
});

describe('a JSON array', () => {
  const pretty = `\uFEFF \n[\n  {"a": "]},[ \\" \\\\"},\n  [1, [2]],\n  3\n]\n`;

  it('is read by element, whatever stands in strings', async () => {
    expect((await read(pretty)).map(([number, text]) => [number, text.trim()])).toEqual([
      [1, '{"a": "]},[ \\" \\\\"}'],
      [2, '[1, [2]]'],
      [3, '3'],
    ]);
  });

  it('is read across chunks', async () => {
    const element = JSON.stringify({ text: 'x[{"\\'.repeat(9000) });
    const rows = await read(`[${Array.from({ length: 20 }, () => element).join(',')}]`);
    expect(rows).toHaveLength(20);
    expect(rows.every(([, text]) => text === element)).toBe(true);
  });

  it('may be empty', async () => {
    expect(await read('[ \n ]')).toEqual([]);
  });

  it.each([
    ['[1, 2', 'the file ends within the JSON array'],
    ['["a', 'the file ends within the JSON array'],
    ['[1] 2', 'something after the end'],
    ['[1] [2]', 'something after the end'],
    ['[1,,2]', 'element 2 is missing'],
    ['[1,]', 'element 2 is missing'],
  ])('is refused as %s', async (content, reason) => {
    await expect(read(content)).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringContaining(reason) as string,
    });
  });
});

describe('other bytes', () => {
  it.each(['https://git-lfs.github.com/spec/v1', 'https://hawser.github.com/spec/v1'])(
    'are named where they are a Git LFS pointer (%s)',
    async (version) => {
      await expect(read(`version ${version}\noid sha256:00\nsize 3\n`)).rejects.toMatchObject({
        code: 'DATASET_UNREADABLE',
        message: expect.stringMatching(/: is a Git LFS pointer/) as string,
      });
    },
  );

  it('are unpacked where they are gzip, of one member or several', async () => {
    const both = Buffer.concat([gzipSync('{"a":1}\n'), gzipSync('{"b":2}\n')]);
    expect(await read(both)).toEqual([
      [1, '{"a":1}'],
      [2, '{"b":2}'],
    ]);
    expect(await read(gzipSync('[1,2]'))).toHaveLength(2);
  });

  it('are named where they are a Git LFS pointer', async () => {
    await expect(
      read('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'),
    ).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringContaining('is a Git LFS pointer') as string,
    });
  });

  it('are refused where gzip data is cut short', async () => {
    const whole = gzipSync(JSON.stringify(Array.from({ length: 999 }, Math.random)));
    await expect(read(whole.subarray(0, whole.length - 20))).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringContaining('gzip') as string,
    });
  });

  it.each([
    ['UTF-16 with a mark', Buffer.from('\uFEFF{"a":1}', 'utf16le')],
    ['UTF-16 without', Buffer.from('{"a":1}', 'utf16le')],
    ['UTF-16, big end first', Buffer.from('\uFEFF{"a":1}', 'utf16le').swap16()],
    ['gzip of UTF-16', gzipSync(Buffer.from('\uFEFF{"a":1}', 'utf16le'))],
  ])('are named where they are %s', async (_, content) => {
    await expect(read(content)).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringMatching(/UTF-16.*UTF-8 is needed$/) as string,
    });
  });
});
