export { NatsError, isNatsError } from './errors.js';
export {
  closeNats,
  connectNats,
  type NatsAccess,
  type NatsAuth,
  type NatsTls,
} from './connection/access.js';
export { isStorageFull, isTransient } from './connection/retry.js';
export type { Lane } from './connection/lane.js';
export { openLane } from './connection/socket-lane.js';
export { forgetNatsPorts, readNatsPorts } from './server/ports-file.js';
export { findNatsServer, natsServerEnvironment, randomSecret } from './server/server-program.js';
export {
  natsServerConfig,
  natsServerLimits,
  type NatsPermissions,
  type NatsServerUser,
  type NatsVariable,
} from './server/server-config.js';
export type { NatsConnection } from '@nats-io/transport-node';
export type { ObjectSink } from './objects/chunk-reader.js';
export { rangeSource, streamSource } from './objects/chunk-sources.js';
export type { ObjectBucket, PutOptions, StoredObject } from './objects/object-bucket.js';
export { openObjectBucket } from './objects/open-object-bucket.js';
export { getObjectFile } from './objects/object-file.js';
export { openRecordStore, type RecordStore, type Versioned } from './records/record-store.js';
export {
  acquireLease,
  modifyFenced,
  type Fenced,
  type Lease,
  type LeaseRecord,
} from './leases/lease.js';
export type { WorkItem, WorkState } from './queue/work-item.js';
export { destroyWorkQueue, openWorkQueue, type WorkQueue } from './queue/work-queue.js';
export {
  openNumberedLog,
  type LogWriter,
  type NumberedEvent,
  type NumberedLog,
} from './events/numbered-log.js';
