import type { NatsAccess, NatsAuth, NatsTls } from '@emloc/nats';

import { ServiceError } from '../errors.js';
import type { CommonOptions } from './common-options.js';
import { readCertificates, readIdentity, readOptionFile } from './option-files.js';

/**
 * How the options say that NATS is reached.
 * @throws ServiceError OPTION_INVALID for credentials that exclude each other, or a file that
 * cannot be used
 */
export function natsAccessOf(options: CommonOptions, name: string): NatsAccess {
  const tls = tlsOf(options);
  return {
    servers: options.natsUrl,
    name,
    auth: authOf(options),
    inboxPrefix: options.natsInboxPrefix,
    ...(tls ? { tls } : {}),
  };
}

function tlsOf({ natsCa, natsCert, natsKey }: CommonOptions): NatsTls | null {
  if ((natsCert === undefined) !== (natsKey === undefined))
    throw new ServiceError('OPTION_INVALID', 'options: nats-cert and nats-key belong together');
  const ca = natsCa === undefined ? undefined : readCertificates(natsCa).toString('utf8');
  const identity =
    natsCert === undefined || natsKey === undefined ? null : readIdentity(natsCert, natsKey);
  if (ca === undefined && !identity) return null;
  return { ca, cert: identity?.certificate.toString('utf8'), key: identity?.key.toString('utf8') };
}

function authOf({
  natsUser,
  natsPassword,
  natsToken,
  natsCreds,
}: CommonOptions): NatsAuth | undefined {
  const ways = [natsUser, natsToken, natsCreds].filter((way) => way !== undefined);
  if (ways.length > 1)
    throw new ServiceError(
      'OPTION_INVALID',
      'options: only one of nats-user, nats-token and nats-creds can be given',
    );
  if (natsUser !== undefined && natsPassword === undefined)
    throw new ServiceError(
      'OPTION_INVALID',
      'options: nats-user needs EMLOC_NATS_PASSWORD or EMLOC_NATS_PASSWORD_FILE',
    );
  if (natsUser !== undefined && natsPassword !== undefined)
    return { kind: 'password', user: natsUser, password: natsPassword };
  if (natsToken !== undefined) return { kind: 'token', token: natsToken };
  if (natsCreds !== undefined)
    return { kind: 'creds', creds: readOptionFile(natsCreds).toString('utf8') };
  return undefined;
}
