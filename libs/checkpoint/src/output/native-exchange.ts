import process from 'node:process';
import type koffi from 'koffi';

type Rename = (from: string, to: string) => number;

/** linux/fs.h */
const renameExchange = 2;
/** sys/stdio.h of macOS */
const renameSwap = 2;
/** fcntl.h: paths are relative to the working folder. */
const atWorkingFolder = -100;

interface Exchange {
  readonly library: typeof koffi;
  readonly rename: Rename;
}

let loading: Promise<Exchange | null> | null = null;

/**
 * Lets two existing paths of one file system change places in one step, which Node's own functions
 * cannot.
 * @returns null when done, otherwise why not: the name of the system's error, or `ENOSYS` where the
 * system has no such call
 */
export async function exchangePaths(a: string, b: string): Promise<string | null> {
  loading ??= load();
  const exchange = await loading;
  if (!exchange) return 'ENOSYS';
  if (exchange.rename(a, b) === 0) return null;
  const errno = exchange.library.errno();
  const names = Object.entries(exchange.library.os.errno);
  return names.find(([, value]) => value === errno)?.[0] ?? String(errno);
}

async function load(): Promise<Exchange | null> {
  try {
    const { default: library } = await import('koffi');
    const rename = renameOf(library);
    return rename && { library, rename };
  } catch {
    return null;
  }
}

/** renameat2(2) of Linux, renamex_np(2) of macOS. */
function renameOf(library: typeof koffi): Rename | null {
  const system = library.load(null);
  if (process.platform === 'linux') {
    const renameat2 = system.func(
      'int renameat2(int oldFolder, const char *oldPath, int newFolder, const char *newPath, unsigned int flags)',
    ) as (...values: (number | string)[]) => number;
    return (from, to) => renameat2(atWorkingFolder, from, atWorkingFolder, to, renameExchange);
  }
  if (process.platform === 'darwin') {
    const renamex = system.func(
      'int renamex_np(const char *from, const char *to, unsigned int flags)',
    ) as (...values: (number | string)[]) => number;
    return (from, to) => renamex(from, to, renameSwap);
  }
  return null;
}
