import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  identityOf,
  isRunning,
  lockFile,
  LockHeldError,
  parseIdentity,
  sleep,
  systemClock,
  type ProcessIdentity,
} from '@emloc/time';
import { FileRefusal, readRegularFileSync } from '@emloc/untrusted';

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
  release(): Promise<void>;
}

const natsGoneWithinMs = 10_000;
const mostIdentityBytes = 65_536;

/**
 * Takes a folder, making it (mode 700) when it is missing. One whose holder has died is free.
 * @throws LocalDeploymentError DEPLOYMENT_STATE_IN_USE; DEPLOYMENT_INVALID_OPTION where a pipe, a
 * device or a folder is in the place of a file of it
 */
export async function takeStateFolder(path: string): Promise<StateFolder> {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const [lock, natsPid, scratch] = [
    join(path, 'serve.pid'),
    join(path, 'nats.pid'),
    join(path, 'scratch'),
  ];
  const held = await takeLock(lock, path);
  try {
    await waitUntilGone(natsPid, path);
  } catch (error) {
    await held[Symbol.asyncDispose]();
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
      if (pid === undefined) return;
      writeFileSync(natsPid, JSON.stringify(identityOf(pid)), { mode: 0o600, flag: 'wx' });
    },
    release: async () => {
      for (const left of [scratch, natsPid]) rmSync(left, { recursive: true, force: true });
      await held[Symbol.asyncDispose]();
    },
  };
}

async function takeLock(lock: string, path: string): Promise<AsyncDisposable> {
  return lockFile(lock).catch((error: unknown) => {
    if (!(error instanceof LockHeldError)) throw refused(error);
    throw new LocalDeploymentError(
      'DEPLOYMENT_STATE_IN_USE',
      `${path} is in use by ${error.who}; --state-dir names another folder`,
      { cause: error },
    );
  });
}

/** A server whose supervisor was killed is about to end. */
async function waitUntilGone(natsPid: string, path: string): Promise<void> {
  const holder = readIdentity(natsPid);
  const endMs = systemClock.now() + natsGoneWithinMs;
  while (holder && isRunning(holder)) {
    if (systemClock.now() > endMs)
      throw new LocalDeploymentError(
        'DEPLOYMENT_STATE_IN_USE',
        `${path} is in use by a nats-server, process ${holder.pid}`,
      );
    await sleep(50);
  }
}

function readIdentity(file: string): ProcessIdentity | null {
  if (!existsSync(file)) return null;
  try {
    return parseIdentity(readRegularFileSync(file, mostIdentityBytes).toString('utf8'));
  } catch (error) {
    throw refused(error);
  }
}

/** What no deployment has left there is not removed, and never waited for. */
function refused(error: unknown): unknown {
  if (!(error instanceof FileRefusal)) return error;
  return new LocalDeploymentError(
    'DEPLOYMENT_INVALID_OPTION',
    `${error.message}: remove it; --state-dir names another folder`,
    { cause: error },
  );
}
