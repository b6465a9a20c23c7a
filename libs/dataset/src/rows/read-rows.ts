import { createGunzip } from 'node:zlib';
import { FileRefusal, openRegularFile } from '@emloc/untrusted';

import { DatasetError } from '../errors.js';
import { isLfsPointer, lfsBeginningLength, lfsReason } from '../lfs-pointer.js';
import { isParquet, readParquet } from './parquet/read-parquet.js';
import { isJsonSpace, maxRowBytes, type RawRow } from './raw-row.js';
import { splitArray } from './split-array.js';
import { splitCsv } from './split-csv.js';
import { splitLines } from './split-lines.js';

export interface ReadRowsOptions {
  readonly signal?: AbortSignal;
  /** Sees every byte of the file as it is stored, in order. */
  onBytes?(bytes: Uint8Array): void;
}

/**
 * The rows of a file in one pass with bounded memory: lines of a JSON lines file (blank ones
 * included), the elements of one JSON array, or the records of a CSV file, compressed by gzip or
 * not; or the rows of a Parquet file. Which of them it is, is seen from the first bytes.
 * @throws DatasetError DATASET_UNREADABLE; the signal's reason when aborted
 */
export async function* readRows(
  path: string,
  { signal, onBytes }: ReadRowsOptions = {},
): AsyncGenerator<RawRow> {
  const stored = observed(readChunks(path), { signal, onBytes });
  const [head, chunks] = await peek(stored, 4);
  if (isParquet(head)) {
    await pass(chunks, { isWhole: onBytes !== undefined });
    yield* readParquet(path, { signal });
    return;
  }
  const text = isGzip(head) ? gunzip(chunks, path) : chunks;
  yield* rowsOf(await peek(text, lfsBeginningLength), path);
}

/** Lets bytes pass their observer, all or none; closes what they come from. */
async function pass(
  chunks: AsyncIterable<Uint8Array>,
  { isWhole }: { readonly isWhole: boolean },
): Promise<void> {
  for await (const _ of chunks) if (!isWhole) break;
}

async function* rowsOf(
  [head, chunks]: readonly [Uint8Array, AsyncIterable<Uint8Array>],
  path: string,
): AsyncGenerator<RawRow> {
  if (isWideText(head))
    throw new DatasetError(
      'DATASET_UNREADABLE',
      `${path}: its text is UTF-16 or UTF-32, UTF-8 is needed`,
    );
  if (isParquet(head))
    throw new DatasetError('DATASET_UNREADABLE', `${path}: is Parquet within gzip: unpack it`);
  if (isLfsPointer(Buffer.from(head).toString('latin1')))
    throw new DatasetError('DATASET_UNREADABLE', `${path}: ${lfsReason}`);
  const rest = hasByteOrderMark(head) ? skip(chunks, 3) : chunks;
  const [first, whole] = await firstCharacters(rest);
  if (first.startsWith('[')) yield* splitArray(whole, path);
  else if (first === '' || beginsJson.test(first)) yield* splitLines(whole, path);
  else yield* splitCsv(whole, path);
}

/** A value of JSON that no header of a CSV file looks like: such a text is one of its names. */
const beginsJson = /^([{\d-]|(true|false|null)(\s|$))/;
const mostFirst = 16;

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  const { handle } = await openRegularFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const stream = handle.createReadStream();
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    stream.destroy();
  }
}

function unreadable(path: string, cause: unknown): DatasetError {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
  const reason = cause instanceof FileRefusal ? cause.reason : `cannot be read (${code})`;
  return new DatasetError('DATASET_UNREADABLE', `${path}: ${reason}`, { cause });
}

async function* observed(
  chunks: AsyncIterable<Uint8Array>,
  { signal, onBytes }: ReadRowsOptions,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    onBytes?.(chunk);
    yield chunk;
  }
}

async function* gunzip(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array> {
  const stream = createGunzip();
  let failure: Error | undefined;
  const feeding = feed(chunks, stream).catch((error: Error) => {
    failure = error;
    stream.destroy();
  });
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (cause) {
    if (failure) throw failure;
    throw new DatasetError('DATASET_UNREADABLE', `${path}: its gzip data is broken or cut short`, {
      cause,
    });
  } finally {
    stream.destroy();
    await feeding;
  }
}

async function feed(
  chunks: AsyncIterable<Uint8Array>,
  stream: ReturnType<typeof createGunzip>,
): Promise<void> {
  for await (const chunk of chunks) {
    if (stream.destroyed) return;
    if (!stream.write(chunk)) await drained(stream);
  }
  stream.end();
}

function drained(stream: ReturnType<typeof createGunzip>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.on(event, done);
  });
}

/** The first bytes (as many as there are, up to `count`), and the whole again. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
  count: number,
): Promise<readonly [Uint8Array, AsyncIterable<Uint8Array>]> {
  const iterator = chunks[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < count) {
    const next = await iterator.next();
    if (next.done === true) break;
    seen.push(next.value);
    bytes += next.value.length;
  }
  return [Buffer.concat(seen).subarray(0, count), resumed(seen, iterator)];
}

async function* resumed(
  seen: readonly Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* seen;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      yield next.value;
  } finally {
    await iterator.return?.();
  }
}

async function* skip(chunks: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array> {
  let left = count;
  for await (const chunk of chunks) {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    if (skipped < chunk.length) yield chunk.subarray(skipped);
  }
}

/** Some bytes from the first on that is no white space of JSON; none where there is no such. */
async function firstCharacters(
  chunks: AsyncIterable<Uint8Array>,
): Promise<readonly [string, AsyncIterable<Uint8Array>]> {
  const iterator = chunks[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return ['', resumed(seen, iterator)];
    seen.push(next.value);
    bytes += next.value.length;
    const first = next.value.findIndex((byte) => !isJsonSpace(byte));
    const found = first < 0 ? [] : next.value.subarray(first, first + mostFirst);
    if (first >= 0 || bytes > maxRowBytes)
      return [Buffer.from(found).toString('latin1'), resumed(seen, iterator)];
  }
}

function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

function hasByteOrderMark(head: Uint8Array): boolean {
  return head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
}

/** A byte order mark of two bytes, or an ASCII character beside zeros. */
function isWideText([a, b, c, d]: Uint8Array): boolean {
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true;
  return (a === 0 && (b !== 0 || c === 0)) || (b === 0 && a !== undefined && d === 0);
}
