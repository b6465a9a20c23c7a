import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNats, openLane, type Lane, type NatsConnection } from '@emloc/nats';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';

import { openJobStorage, type JobStorage, type JobStorageOptions } from '../index.js';

/** A NATS server in a folder of its own, and the storage of jobs in it. */
export interface StorageHarness {
  readonly server: NatsServer;
  readonly nats: NatsConnection;
  readonly lane: Lane;
  readonly storage: JobStorage;
  stop(): Promise<void>;
}

export async function startStorage(
  options: Omit<JobStorageOptions, 'nats' | 'lane'> = {},
): Promise<StorageHarness> {
  const storeDir = mkdtempSync(join(tmpdir(), 'emloc-storage-'));
  const server = await startNatsServer({ storeDir });
  const access = { servers: [server.url] };
  const [nats, lane] = [await connectNats(access), await openLane(access)];
  return {
    server,
    nats,
    lane,
    storage: await openJobStorage({ ...options, nats, lane }),
    stop: async () => {
      lane.close();
      await nats.close();
      await server.stop();
      rmSync(storeDir, { recursive: true, force: true });
    },
  };
}
