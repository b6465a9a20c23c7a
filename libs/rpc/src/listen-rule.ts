import { isIP } from 'node:net';

import { RpcError } from './errors.js';

/** What protects a listener. */
export interface ListenerProtection {
  /** Whether callers have to say who they are. */
  readonly authenticated: boolean;
  readonly tls: boolean;
  /** Something in front of it does the encryption. */
  readonly allowPlaintext: boolean;
}

/** Whether only this machine can reach a listener on this host. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/**
 * A listener that others can reach needs authentication and encryption.
 * @throws RpcError FAILED_PRECONDITION
 */
export function assertListenAllowed(
  host: string,
  { authenticated, tls, allowPlaintext }: ListenerProtection,
): void {
  if (isLoopback(host)) return;
  if (!authenticated) throw refused(host, 'authentication (tokens or client certificates)');
  if (!tls && !allowPlaintext) throw refused(host, 'TLS');
}

function refused(host: string, missing: string): RpcError {
  return new RpcError(
    'FAILED_PRECONDITION',
    `will not listen on ${host} without ${missing}; 127.0.0.1 is the default`,
    { reason: 'LISTEN_REFUSED' },
  );
}
