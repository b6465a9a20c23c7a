import { readFileSync } from 'node:fs';
import process from 'node:process';
import { connect, type ClientTls, type EmlocClient } from '@emloc/sdk';
import { Option } from 'commander';

import type { FlagValues } from './flags.js';
import { UsageError } from './usage-error.js';

const defaultServer = '127.0.0.1:7070';

/**
 * Flags of every command that works with a remote deployment. A token is never a flag: other users
 * see those.
 */
export const connectionFlags: readonly Option[] = [
  new Option('--server <host:port>', `coordinator (default: EMLOC_SERVER, else ${defaultServer})`),
  new Option(
    '--token-file <file>',
    'file that holds the bearer token (default: the token is EMLOC_TOKEN, if that is set)',
  ),
  new Option('--tls', 'encrypt, and trust the authorities of this system'),
  new Option('--tls-ca <file>', 'encrypt, and trust these authorities, PEM'),
  new Option('--tls-cert <file>', 'encrypt, and show this certificate chain, PEM'),
  new Option('--tls-key <file>', 'its key, PEM'),
  new Option(
    '--tls-server-name <name>',
    "name in the server's certificate, where it is not that of --server",
  ),
  new Option('--allow-plaintext', 'send the token without TLS to another machine'),
];

/** Runs with a client of the deployment that the flags and the environment name, and closes it. */
export async function withClient<T>(
  values: FlagValues,
  work: (client: EmlocClient) => Promise<T>,
): Promise<T> {
  const client = connect({
    address: textOf(values, 'server') ?? (process.env['EMLOC_SERVER'] || defaultServer),
    token: tokenOf(values),
    tls: tlsOf(values),
    allowPlaintext: values['allowPlaintext'] === true,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function tokenOf(values: FlagValues): string | null {
  const file = textOf(values, 'tokenFile');
  if (file === undefined) return process.env['EMLOC_TOKEN'] || null;
  const token = read(file, '--token-file').toString('utf8').trim();
  if (token === '') throw new UsageError(`--token-file ${file}: it is empty`);
  return token;
}

function tlsOf(values: FlagValues): boolean | ClientTls {
  const fileOf = (name: string, flag: string): Buffer | undefined => {
    const file = textOf(values, name);
    return file === undefined ? undefined : read(file, flag);
  };
  const tls: ClientTls = {
    ca: fileOf('tlsCa', '--tls-ca'),
    certificate: fileOf('tlsCert', '--tls-cert'),
    key: fileOf('tlsKey', '--tls-key'),
    serverName: textOf(values, 'tlsServerName'),
  };
  return Object.values(tls).some((value) => value !== undefined) ? tls : values['tls'] === true;
}

function read(file: string, flag: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UsageError(`${flag} ${file}: ${(cause as Error).message}`, { cause });
  }
}

function textOf(values: FlagValues, name: string): string | undefined {
  return values[name] as string | undefined;
}
