import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import { NatsError } from '../errors.js';

/**
 * Go's default collects garbage after every few large messages, which halves what a server moves,
 * and a heap that may grow leaves the processor's caches. With these it collects when the process
 * comes near 112 MiB, and not before; what lives may take more. See `tools/bench bus`. Values in
 * our own environment have precedence.
 */
export const natsServerEnvironment: Readonly<Record<string, string>> = {
  GOGC: 'off',
  GOMEMLIMIT: '112MiB',
  GODEBUG: 'madvdontneed=0',
};

/**
 * Path of nats-server on PATH (and in /usr/sbin, where Debian puts it).
 * @throws NatsError NATS_SERVER_NOT_FOUND
 */
export function findNatsServer(path = process.env['PATH'] ?? ''): string {
  const name = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server';
  const candidates = [...path.split(delimiter), '/usr/local/sbin', '/usr/sbin']
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name));
  const found = candidates.find(isExecutable);
  if (found) return found;
  throw new NatsError(
    'NATS_SERVER_NOT_FOUND',
    'nats-server is not on PATH. Debian and Ubuntu: apt-get install nats-server; macOS: brew install nats-server; ' +
      'others: https://github.com/nats-io/nats-server/releases (2.9 or later). Or name a running server with --nats-url.',
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A random password for a server user. */
export function randomSecret(): string {
  return randomBytes(24).toString('base64url');
}
