import { maxRowBytes, rowTooLong, type RawRow } from './raw-row.js';

const lineFeed = 0x0a;

/** Lines as bytes, without line feed, numbered from 1. @throws DatasetError DATASET_UNREADABLE */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<RawRow> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let number = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      const last = chunk.subarray(start, end);
      yield { number, bytes: pendingBytes === 0 ? last : Buffer.concat([...pending, last]) };
      number += 1;
      pending = [];
      pendingBytes = 0;
      start = end + 1;
    }
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > maxRowBytes) throw rowTooLong(path, number);
  }
  if (pendingBytes > 0) yield { number, bytes: Buffer.concat(pending) };
}
