import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inboxPrefixOf, natsUsers } from '@emloc/deployment';
import type { ProcessExit, ServiceName } from '@emloc/local-deployment';
import { randomSecret, type NatsAccess } from '@emloc/nats';

import { makeLoopbackAuthority, type LoopbackAuthority } from '../secured/certificates.js';
import { startOwnNats, type OwnNats } from './own-nats.js';

/** NATS with TLS, client certificates and a user for each service. */
export interface SecuredNats {
  readonly nats: OwnNats;
  readonly authority: LoopbackAuthority;
  /** What a service needs besides, to be secured. */
  flags(service: ServiceName): string[];
  readonly env: Readonly<Record<string, string>>;
  /** A user that may do everything. */
  access(name: string): NatsAccess;
}

const observer = 'soak';

export async function startSecuredNats(
  folder: string,
  onExit: (exit: ProcessExit) => void,
): Promise<SecuredNats> {
  const authority = makeLoopbackAuthority(join(folder, 'authority'));
  // A letter first: the server reads what begins with a digit as a number.
  const password = `p${randomSecret()}`;
  const users = natsUsers(() => password);
  const { cert, key } = authority.issue('nats-server');
  const nats = await startOwnNats(
    {
      storeDir: join(folder, 'nats'),
      users: [...users.values(), { kind: 'password', user: observer, password }],
      tls: { certFile: cert, keyFile: key, clientCaFile: authority.file },
    },
    onExit,
  );
  return {
    nats,
    authority,
    env: { EMLOC_NATS_PASSWORD: password },
    flags: (service) => flagsOf(service, authority),
    access: (name) => {
      const { identity } = authority.client(observer);
      return {
        servers: [nats.server.url],
        name,
        auth: { kind: 'password', user: observer, password },
        tls: {
          ca: readFileSync(authority.file, 'utf8'),
          cert: identity?.certificate.toString('utf8'),
          key: identity?.key.toString('utf8'),
        },
      };
    },
  };
}

function flagsOf(service: ServiceName, authority: LoopbackAuthority): string[] {
  const { cert, key } = authority.issue(service);
  const flags = {
    'nats-user': service,
    'nats-inbox-prefix': inboxPrefixOf(service),
    'nats-ca': authority.file,
    'nats-cert': cert,
    'nats-key': key,
    'tls-cert': cert,
    'tls-key': key,
    'tls-ca': authority.file,
  };
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
}
