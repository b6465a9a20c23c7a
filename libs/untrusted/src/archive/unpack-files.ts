import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar';

import { openRegularFile } from '../regular-file.js';
import { ArchiveNames, ArchiveRefusal, maxArchiveFiles, quoted } from './archive-names.js';

const headerBytes = 512;
const [mark, markOffset] = ['ustar', 257];
const [sumOffset, sumEnd] = [148, 156];

/** Whether a file begins as a tar archive does: with a header whose sum is right. */
export async function isArchive(path: string): Promise<boolean> {
  const { handle } = await openRegularFile(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    if (bytesRead < headerBytes || !buffer.toString('latin1').startsWith(mark, markOffset))
      return false;
    const sum = Number.parseInt(buffer.toString('latin1', sumOffset, sumEnd), 8);
    buffer.fill(' ', sumOffset, sumEnd);
    return sum === buffer.reduce((total, byte) => total + byte, 0);
  } finally {
    await handle.close();
  }
}

/**
 * Unpacks a tar archive of somebody else into a folder that it makes: regular files alone, which
 * their owner alone can read. Their bytes are no more than the archive's.
 * @throws ArchiveRefusal, with the folder half full; errors of the file system; the signal's reason
 */
export async function unpackFiles(
  archive: string,
  folder: string,
  { signal, maxFiles = maxArchiveFiles }: { signal?: AbortSignal; maxFiles?: number } = {},
): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  const names = new ArchiveNames(maxFiles);
  const file = Readable.toWeb(createReadStream(archive)) as ReadableStream<Uint8Array>;
  const entries = file.pipeThrough(createTarDecoder({ strict: true }), signal ? { signal } : {});
  try {
    for await (const entry of entries) await unpack(entry, folder, names);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ArchiveRefusal || isOfFiles(error)) throw error;
    throw new ArchiveRefusal('it is damaged or cut short', { cause: error });
  }
}

async function unpack(
  { header: { name, type }, body }: ParsedTarEntry,
  folder: string,
  names: ArchiveNames,
): Promise<void> {
  if (type === 'directory') return body.cancel();
  if (type !== 'file')
    throw new ArchiveRefusal(`${quoted(name)} is a ${type ?? 'nameless kind'}, not a file`);
  names.add(name);
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const bytes of body) await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}

function isOfFiles(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
