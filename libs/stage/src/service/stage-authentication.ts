import { anyone, bearerTokens, certificateNames, hashToken, type Authenticator } from '@emloc/rpc';
import type { ServiceSetup, ServiceTls } from '@emloc/service';

import type { StageOptions } from './stage-options.js';

/**
 * Who may call a stage: with authorities of client certificates the coordinator's certificate, with
 * a stage token whoever has it, else whoever reaches this machine's loopback.
 */
export function stageAuthentication(
  { coordinatorNames, stageToken }: StageOptions,
  tls: ServiceTls,
): ServiceSetup & { readonly authenticate: Authenticator } {
  if (tls.server?.ca)
    return {
      authenticate: certificateNames(coordinatorNames),
      authenticated: true,
      requireClientCertificate: true,
    };
  if (stageToken !== undefined) {
    return {
      authenticate: bearerTokens([
        { tenant: 'coordinator', sha256: hashToken(stageToken), expiresAtMs: null },
      ]),
      authenticated: true,
    };
  }
  return { authenticate: anyone, authenticated: false };
}
