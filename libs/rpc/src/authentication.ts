import { createHash, timingSafeEqual } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import type { Metadata } from '@grpc/grpc-js';

import { RpcError } from './errors.js';

/** Who calls. */
export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'tenant'; readonly tenant: string }
  | { readonly kind: 'certificate'; readonly name: string };

/** What a call brings to say who makes it. */
export interface PresentedIdentity {
  /** The value of `authorization`; null: none. */
  readonly authorization: string | null;
  /** Common name and DNS names of the client's verified certificate. */
  readonly certificateNames: readonly string[];
}

/**
 * What a call brings.
 * @throws RpcError UNAUTHENTICATED for several `authorization` headers: what stands before this
 * server might have looked at another of them
 */
export function identityOf(
  metadata: Metadata,
  { sslPeerCertificate }: { readonly sslPeerCertificate?: PeerCertificate },
): PresentedIdentity {
  const given = metadata.get('authorization');
  if (given.length > 1)
    throw unauthenticated(
      'TOKEN_AMBIGUOUS',
      `${given.length} authorization headers were sent, one is expected`,
    );
  const [authorization] = given;
  return {
    authorization: typeof authorization === 'string' ? authorization : null,
    certificateNames: namesOf(sslPeerCertificate),
  };
}

/** Decides who calls. @throws RpcError UNAUTHENTICATED or PERMISSION_DENIED */
export type Authenticator = (identity: PresentedIdentity) => Principal | Promise<Principal>;

/** Who makes a call, and who says so. */
export interface AuthenticatedCall {
  readonly identity: PresentedIdentity;
  readonly principal: Principal;
  readonly authenticate: Authenticator;
}

/**
 * Everyone may call: for health and reflection, and for servers that only this machine can reach.
 */
export const anyone: Authenticator = () => ({ kind: 'anonymous' });

/** A token of a tenant; only its hash is kept. */
export interface TenantToken {
  readonly tenant: string;
  /** Of the token's UTF-8 bytes, lower-case hexadecimal. */
  readonly sha256: string;
  /** Unix time; null: it does not expire. */
  readonly expiresAtMs: number | null;
}

/** The hash that a TenantToken holds. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

/**
 * Accepts `authorization: Bearer TOKEN`. Takes the same time whichever token matches, and when none
 * does.
 */
export function bearerTokens(
  tokens: readonly TenantToken[],
  now: () => number = Date.now,
): Authenticator {
  const known = tokens.map((token) => ({ ...token, hash: Buffer.from(token.sha256, 'hex') }));
  for (const { tenant, hash } of known) {
    if (hash.length !== 32)
      throw new RpcError(
        'INVALID_ARGUMENT',
        `token of tenant ${tenant}: its sha256 is not 64 hexadecimal digits`,
      );
  }
  return ({ authorization }) => {
    const token = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw unauthenticated('TOKEN_MISSING', 'a bearer token is needed');
    const presented = createHash('sha256').update(token, 'utf8').digest();
    let match: (typeof known)[number] | null = null;
    for (const candidate of known)
      if (timingSafeEqual(candidate.hash, presented)) match = candidate;
    if (!match) throw unauthenticated('TOKEN_INVALID', 'the bearer token is not known');
    if (match.expiresAtMs !== null && match.expiresAtMs <= now())
      throw unauthenticated('TOKEN_EXPIRED', 'the bearer token has expired');
    return { kind: 'tenant', tenant: match.tenant };
  };
}

/** Accepts clients whose verified certificate has one of these names (common name or DNS name). */
export function certificateNames(allowed: readonly string[]): Authenticator {
  return ({ certificateNames: presented }) => {
    if (presented.length === 0)
      throw unauthenticated('CERTIFICATE_MISSING', 'a client certificate is needed');
    const name = presented.find((candidate) => allowed.includes(candidate));
    if (name === undefined) {
      throw new RpcError(
        'PERMISSION_DENIED',
        `the client certificate of ${presented[0]} may not call this service`,
        { reason: 'CERTIFICATE_NOT_ALLOWED' },
      );
    }
    return { kind: 'certificate', name };
  };
}

/** The names in a verified certificate. */
function namesOf(certificate: PeerCertificate | undefined): readonly string[] {
  if (!certificate) return [];
  const { subject, subjectaltname = '' } = certificate as Partial<PeerCertificate>;
  const alternatives = subjectaltname
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice('DNS:'.length));
  const common = subject?.CN as string | string[] | undefined;
  return [...(common === undefined ? [] : [common].flat()), ...alternatives];
}

function unauthenticated(reason: string, message: string): RpcError {
  return new RpcError('UNAUTHENTICATED', message, { reason });
}
