import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { sleep } from '@emloc/time';

import { LocalDeploymentError } from './errors.js';

/** The folder that a deployment alone works in. */
export interface StateFolder {
  readonly path: string;
  /** JetStream's files and the server's configuration. */
  readonly nats: string;
  /** Scratch space of one process, made empty. */
  scratchOf(name: string): string;
  /** Notes the pid of nats-server, which must have ended before another opens the same files. */
  noteNats(pid: number | undefined): void;
  /** Lets others have the folder. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  /** When the process started, in the system's ticks; null where the system does not say. */
  readonly startTicks: string | null;
}

const natsGoneWithinMs = 10_000;

/**
 * Takes a folder, making it (mode 700) when it is missing. One whose holder has died is free.
 * @throws LocalDeploymentError DEPLOYMENT_STATE_IN_USE
 */
export async function takeStateFolder(path: string): Promise<StateFolder> {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const [lock, natsPid, scratch] = [
    join(path, 'serve.pid'),
    join(path, 'nats.pid'),
    join(path, 'scratch'),
  ];
  takeLock(lock, path);
  try {
    await waitUntilGone(natsPid, path);
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
  rmSync(scratch, { recursive: true, force: true });
  return {
    path,
    nats: join(path, 'nats'),
    scratchOf: (name) => {
      const folder = join(scratch, name);
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      return folder;
    },
    noteNats: (pid) => {
      rmSync(natsPid, { force: true });
      if (pid !== undefined) writeHolder(natsPid, pid);
    },
    release: () => {
      for (const left of [scratch, natsPid, lock]) rmSync(left, { recursive: true, force: true });
    },
  };
}

function takeLock(lock: string, path: string): void {
  for (;;) {
    try {
      return writeHolder(lock, process.pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readHolder(lock);
    if (holder && isAlive(holder))
      throw new LocalDeploymentError(
        'DEPLOYMENT_STATE_IN_USE',
        `${path} is in use by process ${holder.pid}; --state-dir names another folder`,
      );
    try {
      unlinkSync(lock);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** A server whose supervisor was killed is about to end. */
async function waitUntilGone(natsPid: string, path: string): Promise<void> {
  const holder = readHolder(natsPid);
  const endMs = performance.now() + natsGoneWithinMs;
  while (holder && isAlive(holder)) {
    if (performance.now() > endMs)
      throw new LocalDeploymentError(
        'DEPLOYMENT_STATE_IN_USE',
        `${path} is in use by a nats-server, process ${holder.pid}`,
      );
    await sleep(50);
  }
}

/** @throws EEXIST */
function writeHolder(file: string, pid: number): void {
  const descriptor = openSync(file, 'wx', 0o600);
  writeSync(descriptor, JSON.stringify({ pid, startTicks: startTicksOf(pid) } satisfies Holder));
  closeSync(descriptor);
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    return null;
  }
}

/** Whether that process, and not a later one of the same number, is there. */
function isAlive({ pid, startTicks }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return startTicksOf(pid) === startTicks;
}

/**
 * Field 22 of /proc/PID/stat: the 20th after the name, which may hold anything. Null for a process
 * that has ended.
 */
function startTicksOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? null : (rest.at(18) ?? null);
  } catch {
    return null;
  }
}
