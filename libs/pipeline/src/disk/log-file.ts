import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

import { lineOf, logEntriesIn, logEntryOf, outlives, type LogEntry } from '../job/log-entry.js';
import type { JobEvent } from '../job/observer.js';

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
    this.#file = openSync(path, 'a');
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
    this.#file = openSync(this.path, 'a');
  }

  /** Takes out other entries, and lines that a crash has cut; readers see one file or the other. */
  #keep(isKept: (entry: LogEntry) => boolean): void {
    const text = readText(this.path);
    const lines = logEntriesIn(text).filter(isKept).map(lineOf);
    const kept = lines.map((line) => `${line}\n`).join('');
    if (kept === text) return;
    const temporary = `${this.path}.tmp`;
    writeFileSync(temporary, kept);
    renameSync(temporary, this.path);
  }
}

function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
}

/** Empty where there is none. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
