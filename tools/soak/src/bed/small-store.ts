import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { NatsConnection } from '@emloc/nats';
import { until } from '@emloc/time/testing';

/** Where a nats-server stores things that has little space for them. */
export interface SmallStore {
  readonly folder: string;
  /** Of its files, by the server's own limit. */
  readonly maxStoreBytes: number;
  /** Whether the folder is a disk of its own, which can be full. */
  readonly isDisk: boolean;
  /** Takes what is left of the disk; the limit, where there is no disk. @returns ends that */
  fill(what: 'disk' | 'limit', nats: NatsConnection): Promise<() => Promise<void>>;
  close(): void;
}

const maxStoreBytes = 24 * 2 ** 20;
const diskBytes = 48 * 2 ** 20;
const ballastStream = 'soak-ballast';
const pieceBytes = 128 * 1024;

/**
 * A file system in memory, where this process may mount one (root); elsewhere there is the server's
 * limit alone.
 */
export function openSmallStore(folder: string): SmallStore {
  mkdirSync(folder, { recursive: true });
  const isDisk =
    spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', folder]).status === 0;
  return {
    folder,
    maxStoreBytes,
    isDisk,
    fill: (what, nats) =>
      what === 'disk' && isDisk ? fillDisk(join(folder, 'ballast')) : fillLimit(nats),
    close: () => {
      if (isDisk) spawnSync('umount', ['--lazy', folder]);
    },
  };
}

async function fillDisk(path: string): Promise<() => Promise<void>> {
  const file = await open(path, 'w');
  try {
    const { bavail, bsize } = await statfs(path);
    // Until the disk refuses: others write meanwhile.
    for (let left = bavail * bsize + pieceBytes; left > 0; left -= pieceBytes)
      await file.write(new Uint8Array(pieceBytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await file.close();
  }
  return () => rm(path, { force: true });
}

/** Stores messages until the server refuses one. */
async function fillLimit(nats: NatsConnection): Promise<() => Promise<void>> {
  const ask = async (subject: string, body: string | Uint8Array): Promise<boolean> => {
    const answer = await nats.request(subject, body, { timeout: 5000 }).catch(() => null);
    return answer !== null && answer.json<{ readonly error?: unknown }>().error === undefined;
  };
  const config = { name: ballastStream, subjects: [ballastStream], storage: 'file' };
  await ask(
    `$JS.API.STREAM.CREATE.${ballastStream}`,
    JSON.stringify({ ...config, retention: 'limits', max_bytes: -1, max_msgs: -1 }),
  );
  const most = (2 * maxStoreBytes) / pieceBytes;
  let pieces = 0;
  while (pieces < most && (await ask(ballastStream, new Uint8Array(pieceBytes)))) pieces += 1;
  return async () => {
    await until(() => ask(`$JS.API.STREAM.DELETE.${ballastStream}`, ''), 'the ballast is gone', {
      everyMs: 250,
    });
  };
}
