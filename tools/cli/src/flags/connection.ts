import { readFileSync } from 'node:fs';
import process from 'node:process';
import { connect, type ClientTls, type EmlocClient } from '@emloc/sdk';

import { switchFlag, textFlag, type ValuesOf } from '../command/flag.js';
import { UsageError } from '../usage-error.js';

const defaultServer = '127.0.0.1:7070';

/**
 * Flags of every command that works with a remote deployment. A token is never a flag: other users
 * see those.
 */
export const connectionFlags = {
  server: textFlag(
    '--server <host:port>',
    `coordinator (default: EMLOC_SERVER, else ${defaultServer})`,
  ),
  tokenFile: textFlag(
    '--token-file <file>',
    'file that holds the bearer token (default: the token is EMLOC_TOKEN, if that is set)',
  ),
  tls: switchFlag('--tls', 'encrypt, and trust the authorities of this system'),
  tlsCa: textFlag('--tls-ca <file>', 'encrypt, and trust these authorities, PEM'),
  tlsCert: textFlag('--tls-cert <file>', 'encrypt, and show this certificate chain, PEM'),
  tlsKey: textFlag('--tls-key <file>', 'its key, PEM'),
  tlsServerName: textFlag(
    '--tls-server-name <name>',
    "name in the server's certificate, where it is not that of --server",
  ),
  allowPlaintext: switchFlag('--allow-plaintext', 'send the token without TLS to another machine'),
};

type ConnectionValues = ValuesOf<typeof connectionFlags>;

/** Runs with a client of the deployment that the flags and the environment name, and closes it. */
export async function withClient<T>(
  values: ConnectionValues,
  work: (client: EmlocClient) => Promise<T>,
): Promise<T> {
  const client = connect({
    address: values.server ?? (process.env['EMLOC_SERVER'] || defaultServer),
    token: tokenOf(values),
    tls: tlsOf(values),
    allowPlaintext: values.allowPlaintext,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function tokenOf({ tokenFile: file }: ConnectionValues): string | null {
  if (file === undefined) return process.env['EMLOC_TOKEN'] || null;
  const token = read(file, '--token-file').toString('utf8').trim();
  if (token === '') throw new UsageError(`--token-file ${file}: it is empty`);
  return token;
}

function tlsOf(values: ConnectionValues): boolean | ClientTls {
  const contents = (file: string | undefined, flag: string): Buffer | undefined =>
    file === undefined ? undefined : read(file, flag);
  const tls: ClientTls = {
    ca: contents(values.tlsCa, '--tls-ca'),
    certificate: contents(values.tlsCert, '--tls-cert'),
    key: contents(values.tlsKey, '--tls-key'),
    serverName: values.tlsServerName,
  };
  return Object.values(tls).some((value) => value !== undefined) ? tls : values.tls;
}

function read(file: string, flag: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UsageError(`${flag} ${file}: ${(cause as Error).message}`, { cause });
  }
}
