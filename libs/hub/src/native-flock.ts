import process from 'node:process';
import type koffi from 'koffi';

type Flock = (file: number, operation: number) => number;

/** sys/file.h of Linux and macOS */
const exclusiveNonBlocking = 2 | 4;

interface Locking {
  readonly library: typeof koffi;
  readonly flock: Flock;
}

let loading: Promise<Locking | null> | null = null;

/**
 * Takes the lock of an open file as flock(2) does, which Node's own functions cannot; the system
 * gives it back when the file is closed or the process ends.
 * @returns `held` by another; `unsupported` where the system or file system has no such lock
 */
export async function tryFlock(file: number): Promise<'taken' | 'held' | 'unsupported'> {
  loading ??= load();
  const locking = await loading;
  if (!locking) return 'unsupported';
  if (locking.flock(file, exclusiveNonBlocking) === 0) return 'taken';
  const { errno } = locking.library.os;
  const heldElsewhere: readonly (number | undefined)[] = [
    errno['EWOULDBLOCK'],
    errno['EAGAIN'],
    errno['EACCES'],
    errno['EINTR'],
  ];
  return heldElsewhere.includes(locking.library.errno()) ? 'held' : 'unsupported';
}

async function load(): Promise<Locking | null> {
  if (process.platform !== 'linux' && process.platform !== 'darwin') return null;
  try {
    const { default: library } = await import('koffi');
    const flock = library.load(null).func('int flock(int file, int operation)') as Flock;
    return { library, flock };
  } catch {
    return null;
  }
}
