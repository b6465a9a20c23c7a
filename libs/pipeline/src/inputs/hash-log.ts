import type { FileHandle } from 'node:fs/promises';
import { openRegularFile, readRegularFile } from '@emloc/untrusted';

/** Those of a million tensors, each read many times. */
const mostBytes = 500_000_000;

/**
 * Hashes by tensor in a file that only grows: what was added before a crash is there after it, and
 * a line that was not written to its end counts as not written.
 */
export class HashLog {
  #lines: string[] = [];
  /** Settles after the writes that have begun. */
  #last: Promise<void> = Promise.resolve();
  /** A write that has not begun: it takes what is added until then. */
  #next: Promise<void> | null = null;

  private constructor(private readonly file: FileHandle) {}

  static async open(path: string): Promise<HashLog> {
    const { handle: file, bytes } = await openRegularFile(path, { use: 'append' });
    // Ends a line that a crash has cut.
    if (bytes > 0) await file.appendFile('\n');
    return new HashLog(file);
  }

  /** Resolves when the hash is on the disk. */
  add(tensor: string, hash: string): Promise<void> {
    this.#lines.push(`${JSON.stringify([tensor, hash])}\n`);
    if (!this.#next) {
      this.#next = this.#last.then(() => this.#write());
      this.#last = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.file.close();
  }

  async #write(): Promise<void> {
    const text = this.#lines.join('');
    this.#lines = [];
    this.#next = null;
    await this.file.appendFile(text);
    await this.file.datasync();
  }
}

/** The hashes that a log has, by tensor; none where there is no log. */
export async function readHashLog(path: string): Promise<ReadonlyMap<string, string>> {
  const bytes = await readRegularFile(path, mostBytes).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return new Map(
    bytes
      .toString('utf8')
      .split('\n')
      .flatMap((line) => entryOf(line) ?? []),
  );
}

function entryOf(line: string): [[string, string]] | null {
  try {
    const [tensor, hash] = JSON.parse(line) as unknown[];
    return typeof tensor === 'string' && typeof hash === 'string' ? [[tensor, hash]] : null;
  } catch {
    return null;
  }
}
