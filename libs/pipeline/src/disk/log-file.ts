import { closeSync, fdatasyncSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { openRegularFileSync, readRegularFileSync } from '@emloc/untrusted';

import { lineOf, logEntriesIn, logEntryOf, outlives, type LogEntry } from '../job/log-entry.js';
import type { JobEvent } from '../job/observer.js';

/** Those of two million steps: a text cannot have more. */
const mostBytes = 500_000_000;

/**
 * What a job tells of its stages and steps, line by line in a file that can be read meanwhile. Each
 * line is written in one call, at once: a process that is killed loses at most what it was about to
 * write. Steps that a resumed job takes again are taken out before.
 */
export class LogFile implements Disposable {
  /** null: it is closed. */
  #file: number | null;

  constructor(private readonly path: string) {
    this.#keep(() => true);
    this.#file = appended(path);
  }

  observe(event: JobEvent): void {
    if (event.type === 'begun') this.#beginAgain(event);
    const entry = logEntryOf(event, new Date());
    if (entry && this.#file !== null) writeWhole(this.#file, `${lineOf(entry)}\n`);
  }

  /** What was told until now is on the disk afterwards. */
  sync(): void {
    if (this.#file !== null) fdatasyncSync(this.#file);
  }

  [Symbol.dispose](): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #beginAgain(begun: Extract<JobEvent, { type: 'begun' }>): void {
    this[Symbol.dispose]();
    this.#keep((entry) => outlives(entry, begun));
    this.#file = appended(this.path);
  }

  /** Takes out other entries, and lines that a crash has cut; readers see one file or the other. */
  #keep(isKept: (entry: LogEntry) => boolean): void {
    const text = readText(this.path);
    const lines = logEntriesIn(text).filter(isKept).map(lineOf);
    const kept = lines.map((line) => `${line}\n`).join('');
    if (kept === text) return;
    const temporary = `${this.path}.tmp`;
    rmSync(temporary, { force: true });
    writeFileSync(temporary, kept, { flag: 'wx' });
    renameSync(temporary, this.path);
  }
}

function appended(path: string): number {
  return openRegularFileSync(path, { use: 'append' }).file;
}

function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
}

/** Empty where there is none. */
function readText(path: string): string {
  try {
    return readRegularFileSync(path, mostBytes).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
