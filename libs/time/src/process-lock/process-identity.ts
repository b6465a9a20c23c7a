import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';

/** A process, told apart from later ones of the same number. */
export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /**
   * Start of the process in the kernel's ticks, where it tells; null elsewhere. A process number
   * alone may be another's by now.
   */
  readonly started: string | null;
}

/** That of a process of this host. */
export function identityOf(pid: number): ProcessIdentity {
  return { host: hostname(), pid, started: startOf(pid) };
}

/** What was written as JSON; null: it is no identity. */
export function parseIdentity(text: string): ProcessIdentity | null {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null;
    return typeof value?.host === 'string' && Number.isSafeInteger(value.pid)
      ? (value as ProcessIdentity)
      : null;
  } catch {
    return null;
  }
}

/** Whether that process, and not a later one of its number, runs on this host. */
export function isRunning({ host, pid, started }: ProcessIdentity): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return startOf(pid) === started;
}

/**
 * Field 22 of /proc/PID/stat, proc(5): the name in field 2 may hold spaces, so what follows it is
 * counted. Null for a process that has ended, also where its parent has not taken note yet.
 */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? null : (rest.at(18) ?? null);
  } catch {
    return null;
  }
}
