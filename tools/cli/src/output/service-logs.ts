import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@emloc/checked';
import { formatLogLine } from '@emloc/local-deployment';
import { openRegularFileSync } from '@emloc/untrusted';

import { visible } from './visible.js';

/** Where the lines of processes go. */
export interface ServiceLogs {
  readonly write: (process: string, line: string) => void;
  /** Something to be said of a process itself. */
  readonly note: (process: string, text: string) => void;
  close(): void;
}

/**
 * What nats-server says at every start, and no operator has to know: the passwords of its
 * configuration are for its owner only, and new at each start.
 */
const routine = /^\[\d+\] \S+ \S+ \[(INF|WRN)\] (?!.*(slow|stall|error|fail))/i;

/**
 * A file of its own for each process, or all on one stream for people. Files are for their owner
 * only.
 */
export function openServiceLogs(
  folder: string | undefined,
  stream: NodeJS.WritableStream,
): ServiceLogs {
  const note = (process: string, text: string): void => void stream.write(`${process}  ${text}\n`);
  if (folder === undefined)
    return {
      write: (process, line) => {
        if (!routine.test(line)) stream.write(`${visible(formatLogLine(process, line))}\n`);
      },
      note,
      close: () => undefined,
    };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files = new Map<string, WriteStream | null>();
  const fileOf = (process: string): WriteStream | null => {
    const known = files.get(process);
    if (known !== undefined) return known;
    const file = openFile(join(folder, `${process}.log`), (reason) =>
      note(process, `its log is not written: ${visible(reason)}`),
    );
    files.set(process, file);
    return file;
  };
  return {
    write: (process, line) => void fileOf(process)?.write(`${line}\n`),
    note,
    close: () => {
      for (const file of files.values()) file?.end();
    },
  };
}

/** A log that cannot be written stops no service; null: it never could. */
function openFile(path: string, onFailure: (reason: string) => void): WriteStream | null {
  let fd: number;
  try {
    fd = openRegularFileSync(path, { use: 'append', mode: 0o600 }).file;
  } catch (error) {
    onFailure(messageOf(error));
    return null;
  }
  const file = createWriteStream(path, { fd });
  return file.once('error', (error) => onFailure(error.message)).on('error', () => undefined);
}
