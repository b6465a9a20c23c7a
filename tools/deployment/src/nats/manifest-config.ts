import type { ServiceName } from '@emloc/local-deployment';
import { natsServerConfig, natsServerLimits } from '@emloc/nats';

import { natsUsers } from './nats-users.js';

const header =
  '# Made from tools/deployment/src/nats by `UPDATE_DOCS=1 npm run jest -- tools/deployment/src/nats`. Passwords and the size of the store are\n# variables of the container.\n';

/** Of the container's environment: holds the password of a service's user. */
function passwordVariable(service: ServiceName): string {
  return `NATS_PASSWORD_${service.replaceAll('-', '_').toUpperCase()}`;
}

/** Text of `deploy/kubernetes/base/nats-server.conf`. */
export function manifestNatsConfig(): string {
  return (
    header +
    natsServerConfig({
      serverName: 'emloc-nats',
      host: '0.0.0.0',
      port: 4222,
      monitorPort: 8222,
      storeDir: '/data',
      maxStoreBytes: { variable: 'NATS_MAX_FILE_STORE' },
      ...natsServerLimits,
      users: [...natsUsers((service) => ({ variable: passwordVariable(service) })).values()],
      tls: {
        certFile: '/etc/nats/tls/tls.crt',
        keyFile: '/etc/nats/tls/tls.key',
        clientCaFile: '/etc/nats/tls/ca.crt',
      },
    })
  );
}
