import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';

import { connectNats } from '../connection/access.js';
import { startNatsServer, type NatsServer } from './server.js';

/** A server of a spec file's own, in a temporary folder, and connections to it. */
export interface NatsHarness {
  readonly server: NatsServer;
  connect(): Promise<NatsConnection>;
  stop(): Promise<void>;
}

export async function startNatsHarness(): Promise<NatsHarness> {
  const storeDir = mkdtempSync(join(tmpdir(), 'emloc-kit-'));
  const server = await startNatsServer({ storeDir });
  const connections: NatsConnection[] = [];
  return {
    server,
    connect: async () => {
      const nats = await connectNats({ servers: [server.url] });
      connections.push(nats);
      return nats;
    },
    stop: async () => {
      await Promise.all(connections.map((nats) => nats.close()));
      await server.stop();
      rmSync(storeDir, { recursive: true, force: true });
    },
  };
}
