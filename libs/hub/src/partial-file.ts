import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { partialName, sizeOf } from './cache-layout.js';
import { blobName, type RepoFile } from './repo-file.js';

/**
 * Nobody is writing to a partial download that has not changed for so long; asked only where there
 * are no locks.
 */
const abandonedMs = 10 * 60_000;

/** A download under way in the cache, with the hash of what is there. */
export class PartialFile {
  #hash: Hash;
  #sizeBytes = 0;

  private constructor(
    readonly path: string,
    private readonly file: RepoFile,
    private readonly handle: FileHandle,
  ) {
    this.#hash = hashFor(file);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Goes on with what an earlier download of the blob has left, by whatever process, or begins.
   * @param isExclusive whether nobody else is downloading the blob
   */
  static async open(
    folder: string,
    file: RepoFile,
    { isExclusive }: { readonly isExclusive: boolean },
  ): Promise<PartialFile> {
    const path = join(folder, partialName(blobName(file)));
    for (const left of await leftPartials(folder, file, { isExclusive })) {
      if (await moved(left.path, path)) break;
    }
    const partial = new PartialFile(path, file, await open(path, 'a+'));
    await partial.#readHash();
    return partial;
  }

  /** Adds to the end. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    for (let written = 0; written < bytes.length;)
      written += (await this.handle.write(bytes, written)).bytesWritten;
    this.#sizeBytes += bytes.length;
  }

  /** Throws away what is there. */
  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.#sizeBytes = 0;
    this.#hash = hashFor(this.file);
  }

  /** Hash in hex of what is there. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Moves the file, complete and on disk, to where it is used. */
  async finish(path: string): Promise<void> {
    await this.handle.sync();
    await this.handle.close();
    await rename(this.path, path);
  }

  /** Leaves the file as it is, for a later download; one without a byte goes. */
  async close(): Promise<void> {
    await this.handle.close();
    if (this.#sizeBytes === 0) await rm(this.path, { force: true });
  }

  async #readHash(): Promise<void> {
    for await (const chunk of createReadStream(this.path, { highWaterMark: 2 ** 20 })) {
      this.#hash.update(chunk as Buffer);
      this.#sizeBytes += (chunk as Buffer).length;
    }
  }
}

/** SHA-256, or SHA-1 of what git makes of a file: `blob SIZE`, a NUL, the bytes. */
function hashFor({ sha256, sizeBytes }: RepoFile): Hash {
  return sha256 === null ? createHash('sha1').update(`blob ${sizeBytes}\0`) : createHash('sha256');
}

interface LeftPartial {
  readonly path: string;
  readonly sizeBytes: number;
}

/** What downloads of a blob have left and can be gone on with, the largest first. */
export async function leftPartials(
  folder: string,
  file: RepoFile,
  { isExclusive }: { readonly isExclusive: boolean },
): Promise<LeftPartial[]> {
  const isPartial = new RegExp(`^${blobName(file)}(\\.[0-9a-f]{8})?\\.incomplete$`);
  const names = (await readdir(folder).catch(() => [])).filter((name) => isPartial.test(name));
  const found: LeftPartial[] = [];
  for (const path of names.map((name) => join(folder, name))) {
    const info = await stat(path).catch(() => null);
    const isLeft = isExclusive || Date.now() - (info?.mtimeMs ?? 0) > abandonedMs;
    if (info?.isFile() === true && info.size <= file.sizeBytes && isLeft)
      found.push({ path, sizeBytes: info.size });
  }
  return found.sort((a, b) => b.sizeBytes - a.sizeBytes);
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  return (await sizeOf(to)) !== null;
}
