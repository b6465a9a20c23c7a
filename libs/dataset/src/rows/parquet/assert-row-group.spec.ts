import type { AsyncBuffer, ColumnMetaData, RowGroup } from 'hyparquet';

import { assertRowGroup } from './assert-row-group.js';

/** A number as Thrift's compact protocol has it. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value * 2; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) + 128);
  }
}

/** A data page, of no bytes unless it has some. */
function page({ values = 1, unpacked = 0, packed = 0 }): number[] {
  return [
    ...[0x15, ...varint(0), 0x15, ...varint(unpacked), 0x15, ...varint(packed)],
    ...[0x2c, 0x15, ...varint(values), 0, 0],
    ...Array<number>(packed).fill(0),
  ];
}

/** A dictionary page of no bytes. */
function dictionary(values: number): number[] {
  return [0x15, ...varint(2), 0x15, 0, 0x15, 0, 0x4c, 0x15, ...varint(values), 0, 0];
}

function check(
  pages: readonly number[],
  { rows = 1n, column = {} }: { rows?: bigint; column?: Partial<ColumnMetaData> } = {},
): Promise<void> {
  const bytes = Uint8Array.from(pages);
  const file: AsyncBuffer = {
    byteLength: bytes.length,
    slice: (start, end) => bytes.slice(start, end).buffer,
  };
  const described = {
    data_page_offset: 0n,
    total_compressed_size: BigInt(bytes.length),
    ...column,
  } as ColumnMetaData;
  const group = { columns: [{ file_offset: 0n, meta_data: described }], num_rows: rows };
  return assertRowGroup(group as RowGroup, file);
}

test('a row group of pages with as many values as rows is read', async () => {
  await expect(
    check([...page({ values: 3, packed: 5, unpacked: 9 }), ...page({ values: 2 })], { rows: 5n }),
  ).resolves.toBeUndefined();
});

test.each<[string, Promise<void>, string]>([
  ['more rows than values', check(page({}), { rows: 2n ** 40n }), 'has 1099511627776 rows, and'],
  ['values of no bytes', check(page({ values: 2 ** 30 })), 'has 1073741824 values in a column'],
  [
    'values of many pages',
    check(Array.from({ length: 3 }, () => page({ values: 2 ** 23 })).flat()),
    'has 25165824 values in a column, at most 16777216 are read',
  ],
  [
    'pages that unpack to more',
    check(page({ unpacked: 2 ** 30 })),
    'has 1073741824 bytes unpacked, at most 536870912 are read',
  ],
  ['a large dictionary', check(dictionary(2 ** 30)), 'has 1073741824 values in a dictionary'],
  [
    'a column beyond the end',
    check(page({}), { column: { data_page_offset: 99n } }),
    'has a column beyond the end of the file',
  ],
  [
    'a column of more than the file',
    check(page({}), { column: { total_compressed_size: 2n ** 40n } }),
    'has 1099511627776 bytes, at most 536870912 are read',
  ],
])('a row group with %s is refused', async (_, checking, reason) => {
  await expect(checking).rejects.toMatchObject({
    reason: expect.stringContaining(reason) as string,
  });
});
