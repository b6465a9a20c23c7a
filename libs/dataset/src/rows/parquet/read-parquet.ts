import type { FileHandle } from 'node:fs/promises';
import { openRegularFile } from '@emloc/untrusted';
import type { AsyncBuffer, Compressors, FileMetaData, RowGroup } from 'hyparquet';

import { DatasetError, RowError } from '../../errors.js';
import { maxRowBytes, rowTooLong, type RawRow } from '../raw-row.js';
import { assertRowGroup } from './assert-row-group.js';
import { jsonOfRow } from './parquet-json.js';

/** Of what a file says of its columns and row groups. */
const mostMetadataBytes = 64 * 2 ** 20;

/** Whether a file that begins with this is Parquet. */
export function isParquet(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 4)).toString('latin1') === 'PAR1';
}

/**
 * The rows of a Parquet file, one row group after the other, numbered from 1.
 * @throws DatasetError DATASET_UNREADABLE; the signal's reason when aborted
 */
export async function* readParquet(
  path: string,
  { signal }: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<RawRow> {
  const { handle, bytes } = await openRegularFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    const table = await openTable(fileOf(handle, bytes), path);
    let number = 0;
    for (const [index, group] of table.metadata.row_groups.entries()) {
      signal?.throwIfAborted();
      for (const row of await table.rowsOf(group, { index, start: number })) {
        number += 1;
        yield rawRow(row, number, path);
      }
    }
  } finally {
    await handle.close();
  }
}

type TableRow = Readonly<Record<string, unknown>>;

interface Table {
  readonly metadata: FileMetaData;
  /** @throws DatasetError DATASET_UNREADABLE */
  rowsOf(
    group: RowGroup,
    place: { readonly index: number; readonly start: number },
  ): Promise<readonly TableRow[]>;
}

/** The libraries are loaded by those alone who have such a file. */
async function openTable(file: AsyncBuffer, path: string): Promise<Table> {
  const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  const compressors = await boundedCompressors();
  const metadata = await attempt(path, async () => {
    await assertMetadata(file);
    return await parquetMetadataAsync(file);
  });
  return {
    metadata,
    rowsOf: (group, { index, start }) =>
      attempt(`${path}: row group ${index + 1}`, async () => {
        await assertRowGroup(group, file);
        const rowEnd = start + Number(group.num_rows);
        const options = { file, metadata, compressors, utf8: false, rowStart: start, rowEnd };
        return await parquetReadObjects(options);
      }),
  };
}

type Unpack = NonNullable<Compressors[keyof Compressors]>;

/** They have room for what a page is said to hold, and no more; nothing packed is not unpacked. */
async function boundedCompressors(): Promise<Compressors> {
  const { compressors, decompressZstd } = await import('hyparquet-compressors');
  const bounded: Compressors = {
    ...compressors,
    ZSTD: (input, length) => decompressZstd(input, new Uint8Array(length)),
  };
  return Object.fromEntries(
    Object.entries(bounded).map(([name, unpack]: readonly [string, Unpack]) => [
      name,
      (input: Uint8Array, length: number) =>
        length === 0 ? new Uint8Array(0) : unpack(input, length),
    ]),
  );
}

async function assertMetadata(file: AsyncBuffer): Promise<void> {
  if (file.byteLength < 12) throw new RowError(null, 'is cut short');
  const end = new DataView(await file.slice(file.byteLength - 8, file.byteLength));
  const bytes = end.getUint32(0, true);
  if (bytes > mostMetadataBytes)
    throw new RowError(
      null,
      `describes itself in ${bytes} bytes, at most ${mostMetadataBytes} are read`,
    );
}

function fileOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const content = new Uint8Array(Math.max(0, Math.min(end, byteLength) - start));
      for (let filled = 0; filled < content.length;) {
        const left = content.length - filled;
        const { bytesRead } = await handle.read(content, filled, left, start + filled);
        if (bytesRead === 0) throw new RowError(null, 'became shorter while it was read');
        filled += bytesRead;
      }
      return content.buffer;
    },
  };
}

/** The words of the library may hold names and values: they are for the owner. */
async function attempt<T>(place: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw unreadable(place, cause);
  }
}

function unreadable(place: string, cause: unknown): DatasetError {
  if (cause instanceof RowError)
    return new DatasetError('DATASET_UNREADABLE', `${place}: ${cause.reason}`, { cause });
  const message = `${place}: cannot be read as Parquet`;
  const words = cause instanceof Error ? cause.message : String(cause);
  return new DatasetError('DATASET_UNREADABLE', message, {
    cause,
    messageForOwner: `${message}: ${words}`,
  });
}

function rawRow(row: TableRow, number: number, path: string): RawRow {
  const bytes = Buffer.from(jsonOfRow(row));
  if (bytes.length > maxRowBytes) throw rowTooLong(path, number);
  return { number, bytes };
}
