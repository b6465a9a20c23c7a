import { isLoopback } from '@emloc/chat-server';
import { readRegularFileSync } from '@emloc/untrusted';

import type { GenerateValues } from '../flags/generate.js';
import { UsageError } from '../usage-error.js';

/** Where a server listens, and what who asks it has to show. */
export interface ServeAddress {
  readonly host: string;
  readonly port: number;
  /** Null: nothing. */
  readonly apiKey: string | null;
}

/** @throws UsageError for an address that others reach without a key, and a key that is none */
export function addressOf({
  host = '127.0.0.1',
  port = 8080,
  apiKeyFile,
}: Pick<GenerateValues, 'host' | 'port' | 'apiKeyFile'>): ServeAddress {
  const apiKey = apiKeyFile === undefined ? null : keyIn(apiKeyFile);
  if (host.trim() === '') throw new UsageError('--host: an address or a name is expected');
  if (apiKey !== null || isLoopback(host)) return { host, port, apiKey };
  throw new UsageError(
    `--host ${host}: it is not loopback, so that others could ask: --api-key-file is needed`,
  );
}

const mostKeyBytes = 4096;

/** @throws UsageError */
function keyIn(file: string): string {
  let key: string;
  try {
    key = readRegularFileSync(file, mostKeyBytes).toString('utf8').trim();
  } catch (cause) {
    throw new UsageError(`--api-key-file ${file}: ${(cause as Error).message}`, { cause });
  }
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new UsageError(
    `--api-key-file ${file}: one key of visible ASCII characters, without spaces, is expected`,
  );
}
