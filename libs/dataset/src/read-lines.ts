import { createReadStream } from 'node:fs';

import { DatasetError } from './errors.js';

/** Longest line that is read, so that a file without line ends cannot fill the memory. */
export const MAX_LINE_BYTES = 64 * 2 ** 20;

const LINE_FEED = 0x0a;

export interface ReadLinesOptions {
  readonly signal?: AbortSignal;
  /** Sees every byte of the file, in order. */
  onBytes(bytes: Uint8Array): void;
}

/**
 * The lines of a file as bytes, without line feed, in one pass with bounded memory.
 * @throws DatasetError DATASET_UNREADABLE; the signal's reason when aborted
 */
export async function* readLines(
  path: string,
  { signal, onBytes }: ReadLinesOptions,
): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of readChunks(path)) {
    signal?.throwIfAborted();
    onBytes(chunk);
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      yield Buffer.concat([...pending, chunk.subarray(start, end)]);
      pending = [];
      pendingBytes = 0;
      start = end + 1;
    }
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > MAX_LINE_BYTES)
      throw new DatasetError(
        'DATASET_UNREADABLE',
        `${path}: a line is longer than ${MAX_LINE_BYTES} bytes`,
      );
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path);
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (cause) {
    throw new DatasetError(
      'DATASET_UNREADABLE',
      `${path}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      { cause },
    );
  } finally {
    stream.destroy();
  }
}
