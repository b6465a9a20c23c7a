import { existsSync, readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { basename } from 'node:path';

/** The system's number of the calling thread; null: the system is none that tells. */
export function systemThread(): number | null {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')));
  } catch {
    return null;
  }
}

/**
 * Lets a thread of this process run while no other wants the processor. For good: nobody but root
 * raises a priority again.
 */
export function lowerPriority(thread: number): void {
  // Another process may have the number of a thread that has ended.
  if (!existsSync(`/proc/self/task/${thread}`)) return;
  try {
    setPriority(thread, constants.priority.PRIORITY_LOW);
  } catch (error) {
    const { info } = error as { readonly info?: { readonly code?: string } };
    if (info?.code !== 'ESRCH') throw error;
  }
}
