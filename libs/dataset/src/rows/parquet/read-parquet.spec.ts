import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { inTemporaryFolder } from '../../../test/model-folder.js';
import { readRows } from '../read-rows.js';
import { scanRows } from '../scan-rows.js';

const example = (name: string): string =>
  fileURLToPath(new URL(`../../../test/parquet/${name}.parquet`, import.meta.url));

async function read(path: string): Promise<[number, unknown][]> {
  const rows: [number, unknown][] = [];
  for await (const { number, bytes } of readRows(path))
    rows.push([number, JSON.parse(Buffer.from(bytes).toString())]);
  return rows;
}

describe('a Parquet file', () => {
  it.each(['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'])(
    'has rows of all its row groups, packed by %s',
    async (name) => {
      expect(await read(example(name))).toEqual(
        Array.from({ length: 7 }, (_, id) => [
          id + 1,
          { id, prompt: `Say ${id} é`, completion: id % 3 === 0 ? null : `${id}!` },
        ]),
      );
    },
  );

  it('has lists, objects, numbers and bytes as JSON', async () => {
    let text = '';
    for await (const { bytes } of readRows(example('chat'))) text ||= Buffer.from(bytes).toString();
    expect(text).toContain(`"big":${2n ** 60n},`);
    expect(JSON.parse(text)).toMatchObject({
      messages: [
        { role: 'user', content: 'Hi 0', name: null },
        { role: 'assistant', content: 'Hello', name: 'x' },
      ],
      tools: [],
      score: 0,
      ok: true,
      day: '2024-02-29T00:00:00.000Z',
      at: '2024-02-29T01:02:03.000Z',
      image: { bytes: Buffer.from('\x89PNG\xff', 'latin1').toString('base64'), path: 'a.png' },
    });
  });

  it('has texts where bytes are UTF-8', async () => {
    expect(await read(example('binary'))).toEqual([
      [1, { text: 'Hi' }],
      [2, { text: 'é' }],
    ]);
  });

  it('names bad rows by their number', async () => {
    expect(await scanRows({ path: example('zstd'), maxBytes: 2 ** 20, maxMs: 60_000 })).toEqual({
      rows: 4,
      isWhole: true,
      problems: [1, 4, 7].map((line) => ({ line, field: 'completion', reason: 'is missing' })),
    });
  });

  it('has every byte seen once', async () => {
    const seen: Uint8Array[] = [];
    const onBytes = (bytes: Uint8Array): void => void seen.push(Buffer.from(bytes));
    for await (const _ of readRows(example('snappy'), { onBytes })) continue;
    expect(Buffer.concat(seen)).toEqual(await readFile(example('snappy')));
  });
});

describe('a damaged Parquet file', () => {
  /** What is said of the example after `change`. */
  const refusal = (change: (file: Buffer) => Uint8Array): Promise<unknown> =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'rows.parquet');
      await writeFile(path, change(await readFile(example('none'))));
      return read(path).catch((error: unknown) => error);
    });

  it.each<[string, (file: Buffer) => Uint8Array, string]>([
    ['cut short', (file) => file.subarray(0, 900), 'rows.parquet: cannot be read as Parquet'],
    ['nothing but its name', () => Buffer.from('PAR1'), 'rows.parquet: is cut short'],
    ['gzip', (file) => gzipSync(file), 'rows.parquet: is Parquet within gzip'],
    [
      'of a long description',
      (file) => Buffer.concat([file, Buffer.from([0, 0, 0, 0x40]), Buffer.from('PAR1')]),
      'rows.parquet: describes itself in 1073741824 bytes, at most 67108864 are read',
    ],
    ['of other pages', (file) => Buffer.from(file).fill(0x15, 4, 60), 'row group 1'],
  ])('is refused: %s', async (_, change, message) => {
    expect(await refusal(change)).toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringContaining(message) as string,
    });
  });

  it('ends in rows or a refusal, whichever byte is wrong', async () => {
    const { length } = await readFile(example('none'));
    for (let place = 4; place < length; place += 37) {
      const found = await refusal((file) => Buffer.from(file).fill(0xff, place, place + 1));
      if (!Array.isArray(found)) expect(found).toMatchObject({ code: 'DATASET_UNREADABLE' });
    }
  });
});
