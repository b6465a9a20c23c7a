import type { AsyncBuffer, ColumnMetaData, RowGroup } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';

import { RowError } from '../../errors.js';

/** Bytes of a row group, before and after it is unpacked: all of its rows are held at once. */
const mostGroupBytes = 512 * 2 ** 20;
/** Values of a column in a row group: those that are not there, or the same, take no bytes. */
const mostValues = 2 ** 24;

/**
 * Refuses a row group that would take more memory than any may, by what its pages themselves say:
 * what the end of the file says of them need not be so.
 * @throws RowError
 */
export async function assertRowGroup({ columns, num_rows }: RowGroup, file: AsyncBuffer) {
  const found = { packed: 0, unpacked: 0 };
  for (const { meta_data: column } of columns) {
    if (!column) throw new RowError(null, 'has a column without a description');
    found.packed += Number(column.total_compressed_size);
    assertMost('bytes', found.packed, mostGroupBytes);
    const { bytes, values } = pagesOf(await chunkOf(column, file));
    found.unpacked += bytes;
    assertMost('bytes unpacked', found.unpacked, mostGroupBytes);
    assertMost('values in a column', values, mostValues);
    if (values < num_rows)
      throw new RowError(null, `has ${num_rows} rows, and a column of ${values} values`);
  }
}

function assertMost(what: string, count: number, most: number): void {
  if (count <= most) return;
  throw new RowError(
    null,
    `has ${count} ${what}, at most ${most} are read: write the file with smaller row groups`,
  );
}

async function chunkOf(column: ColumnMetaData, file: AsyncBuffer): Promise<ArrayBuffer> {
  const { data_page_offset: data, dictionary_page_offset: dictionary } = column;
  const start = Number(dictionary !== undefined && dictionary > 0n ? dictionary : data);
  const end = start + Number(column.total_compressed_size);
  if (start < 0 || end > file.byteLength || end < start)
    throw new RowError(null, 'has a column beyond the end of the file');
  return await file.slice(start, end);
}

/** What the headers of a column's pages say. */
function pagesOf(chunk: ArrayBuffer): { readonly bytes: number; readonly values: number } {
  const reader = { view: new DataView(chunk), offset: 0 };
  let [bytes, values] = [0, 0];
  while (reader.offset < chunk.byteLength - 1) {
    const header = parquetHeader(reader);
    const { data_page_header: one, data_page_header_v2: two } = header;
    const pageValues = one?.num_values ?? two?.num_values ?? 0;
    const dictionaryValues = header.dictionary_page_header?.num_values ?? 0;
    const sizes = [header.compressed_page_size, header.uncompressed_page_size];
    if ([...sizes, pageValues, dictionaryValues].some((size) => !(size >= 0)))
      throw new RowError(null, 'has a page of a size below 0');
    assertMost('values in a dictionary', dictionaryValues, mostValues);
    reader.offset += header.compressed_page_size;
    bytes += header.uncompressed_page_size;
    values += pageValues;
  }
  return { bytes, values };
}
