/** Why an archive is not unpacked. */
export class ArchiveRefusal extends Error {
  override readonly name = 'ArchiveRefusal';
}

/** Files of one archive. */
export const maxArchiveFiles = 100_000;

const maxNameBytes = 1024;
const maxPartBytes = 255;
const shownCharacters = 200;

/**
 * Names of an archive's files, each of which must be one file below a folder, the same on every
 * file system.
 */
export class ArchiveNames {
  /** What stands under a name, by the name in which letters' case makes no difference. */
  readonly #known = new Map<string, { readonly name: string; readonly isFile: boolean }>();

  constructor(private readonly maxFiles: number) {}

  #files = 0;

  /**
   * @param name path with slashes
   * @throws ArchiveRefusal for a name that leads elsewhere or that a file system may not bear, for
   * one that stands for another's file or folder, for more files than are borne
   */
  add(name: string): void {
    const fault = faultOf(name);
    if (fault !== null) throw new ArchiveRefusal(`the name ${quoted(name)} ${fault}`);
    this.#files += 1;
    if (this.#files > this.maxFiles)
      throw new ArchiveRefusal(`it has more than ${this.maxFiles} files`);
    const parts = name.split('/');
    for (let depth = 1; depth <= parts.length; depth += 1)
      this.#place(parts.slice(0, depth).join('/'), depth === parts.length);
  }

  #place(name: string, isFile: boolean): void {
    const key = name.normalize('NFC').toLowerCase();
    const known = this.#known.get(key);
    if (!known) this.#known.set(key, { name, isFile });
    else if (isFile || known.isFile || known.name !== name)
      throw new ArchiveRefusal(
        known.name === name
          ? `the name ${quoted(name)} stands for two files`
          : `the names ${quoted(known.name)} and ${quoted(name)} differ in case or accents alone`,
      );
  }
}

function faultOf(name: string): string | null {
  if (name === '') return 'is empty';
  if (Buffer.byteLength(name) > maxNameBytes) return `has more than ${maxNameBytes} bytes`;
  if (/\p{Cc}/u.test(name)) return 'has control characters';
  if (/[\ufffd\p{Cs}]/u.test(name)) return 'is not valid UTF-8';
  if (name.includes('\\')) return 'has a backslash';
  if (name.startsWith('/') || /^[a-z]:/i.test(name)) return 'is absolute';
  const parts = name.split('/');
  if (parts.some((part) => ['', '.', '..'].includes(part))) return 'has an empty part, . or ..';
  return parts.some((part) => Buffer.byteLength(part) > maxPartBytes)
    ? `has a part of more than ${maxPartBytes} bytes`
    : null;
}

/** For people: JSON escapes control characters. */
export function quoted(name: string): string {
  return JSON.stringify(name.slice(0, shownCharacters));
}
