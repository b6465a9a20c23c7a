import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** A folder (mode 700) of texts that are made once and then kept. */
export interface SecretFolder {
  readonly path: string;
  /** The text in a file, which is written (mode 600) when there is none. */
  keep(file: string, make: () => string): string;
  /** Replaces a file. */
  write(file: string, text: string): void;
  /** Names of the files in a folder of it, sorted; none where there is no such folder. */
  list(folder: string): string[];
}

export function openSecretFolder(path: string): SecretFolder {
  const place = (file: string): string => {
    const full = join(path, file);
    mkdirSync(dirname(full), { recursive: true, mode: 0o700 });
    return full;
  };
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  return {
    path,
    keep: (file, make) => {
      const full = place(file);
      try {
        // `wx` fails on a file that is there, and never leaves a text that others could read.
        const text = make();
        writeFileSync(full, text, { mode: 0o600, flag: 'wx' });
        return text;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        return readFileSync(full, 'utf8');
      }
    },
    write: (file, text) => writeFileSync(place(file), text, { mode: 0o600 }),
    list: (folder) =>
      existsSync(join(path, folder)) ? readdirSync(join(path, folder)).sort() : [],
  };
}
