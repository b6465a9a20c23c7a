import { readFileSync } from 'node:fs';
import { type NatsAccess, type NatsAuth, ServiceKitError } from '@emloc/service-kit';
import type { CommonOptions } from './common-options.js';

/** How the options say that NATS is reached. @throws ServiceKitError OPTION_INVALID for credentials that exclude each other, or a file that cannot be read */
export function natsAccessOf(options: CommonOptions, name: string): NatsAccess {
  const { natsUrl, natsCa, natsCert, natsKey } = options;
  const tls = natsCa ?? natsCert ?? natsKey;
  return {
    servers: natsUrl,
    name,
    auth: authOf(options),
    ...(tls === undefined ? {} : { tls: { ca: textOf(natsCa), cert: textOf(natsCert), key: textOf(natsKey) } }),
  };
}

function authOf({ natsUser, natsPassword, natsToken, natsCreds }: CommonOptions): NatsAuth | undefined {
  const ways = [natsUser, natsToken, natsCreds].filter((way) => way !== undefined);
  if (ways.length > 1) throw new ServiceKitError('OPTION_INVALID', 'options: only one of nats-user, nats-token and nats-creds can be given');
  if (natsUser !== undefined && natsPassword === undefined) throw new ServiceKitError('OPTION_INVALID', 'options: nats-user needs EMLOC_NATS_PASSWORD or EMLOC_NATS_PASSWORD_FILE');
  if (natsUser !== undefined && natsPassword !== undefined) return { kind: 'password', user: natsUser, password: natsPassword };
  if (natsToken !== undefined) return { kind: 'token', token: natsToken };
  if (natsCreds !== undefined) return { kind: 'creds', creds: textOf(natsCreds) ?? '' };
  return undefined;
}

function textOf(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readOptionFile(path).toString('utf8');
}

/** The contents of a file that an option names. @throws ServiceKitError OPTION_INVALID */
export function readOptionFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ServiceKitError('OPTION_INVALID', `options: ${(cause as Error).message}`, { cause });
  }
}
