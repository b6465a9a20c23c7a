import type { TlsOptions } from '@emloc/rpc';

import { ServiceError } from '../errors.js';
import type { CommonOptions } from './common-options.js';
import { readCertificates, readIdentity } from './option-files.js';

/**
 * This process's end of its connections, as server and as client of other services. Null: plain
 * text.
 */
export interface ServiceTls {
  readonly server: TlsOptions | null;
  readonly client: TlsOptions | null;
}

/** Reads the PEM files that the options name. @throws ServiceError OPTION_INVALID */
export function tlsOf({
  tlsCert,
  tlsKey,
  tlsCa,
}: Pick<CommonOptions, 'tlsCert' | 'tlsKey' | 'tlsCa'>): ServiceTls {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new ServiceError('OPTION_INVALID', 'options: tls-cert and tls-key belong together');
  const identity =
    tlsCert === undefined || tlsKey === undefined ? null : readIdentity(tlsCert, tlsKey);
  const ca = tlsCa === undefined ? null : readCertificates(tlsCa);
  return { server: identity && { ca, identity }, client: ca || identity ? { ca, identity } : null };
}
