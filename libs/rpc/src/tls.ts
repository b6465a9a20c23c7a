import {
  ChannelCredentials,
  credentials as channelCredentials,
  ServerCredentials,
} from '@grpc/grpc-js';

import { RpcError } from './errors.js';

/** PEM texts of one end of a connection. Null: plain text. */
export interface TlsOptions {
  /** Authorities that the other end's certificate must come from; null: the system's. */
  readonly ca: Buffer | null;
  /** This end's certificate chain and key; null: it shows none. */
  readonly identity: { readonly certificate: Buffer; readonly key: Buffer } | null;
}

/**
 * Credentials of a server. With `requireClientCertificate` a connection without a certificate from
 * `ca` is refused (mutual TLS).
 * @throws RpcError INVALID_ARGUMENT when something that this needs is missing or is no PEM
 */
export function serverCredentials(
  tls: TlsOptions | null,
  { requireClientCertificate = false } = {},
): ServerCredentials {
  if (!tls) {
    if (requireClientCertificate) throw invalid('client certificates need TLS');
    return ServerCredentials.createInsecure();
  }
  if (!tls.identity) throw invalid('a server needs a certificate and a key');
  if (requireClientCertificate && !tls.ca)
    throw invalid('client certificates need an authority to be checked against');
  const { certificate, key } = tls.identity;
  return checked(() =>
    ServerCredentials.createSsl(
      tls.ca,
      [{ cert_chain: certificate, private_key: key }],
      requireClientCertificate,
    ),
  );
}

/** Credentials of a client. @throws RpcError INVALID_ARGUMENT when a text is no PEM */
export function clientCredentials(tls: TlsOptions | null): ChannelCredentials {
  if (!tls) return channelCredentials.createInsecure();
  return checked(() =>
    ChannelCredentials.createSsl(
      tls.ca,
      tls.identity?.key ?? null,
      tls.identity?.certificate ?? null,
    ),
  );
}

function checked<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : 'not usable', cause);
  }
}

function invalid(what: string, cause?: unknown): RpcError {
  return new RpcError('INVALID_ARGUMENT', `TLS: ${what}`, { reason: 'TLS_INVALID', cause });
}
