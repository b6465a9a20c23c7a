export { NatsError, isNatsError } from './errors.js';
export { connectNats, type NatsAccess, type NatsAuth, type NatsTls } from './connection/access.js';
export { isTransient } from './connection/retry.js';
export { openLane, type Lane } from './connection/lane.js';
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
export {
  openObjectBucket,
  rangeSource,
  streamSource,
  type ObjectBucket,
  type ObjectSink,
  type PutOptions,
  type StoredObject,
} from './objects/object-bucket.js';
export { getObjectFile } from './objects/object-file.js';
export { openRecordStore, type RecordStore, type Versioned } from './records/record-store.js';
export {
  acquireLease,
  modifyFenced,
  type Fenced,
  type Lease,
  type LeaseRecord,
} from './leases/lease.js';
export {
  openWorkQueue,
  type WorkItem,
  type WorkQueue,
  type WorkState,
} from './queue/work-queue.js';
export {
  openNumberedLog,
  type LogWriter,
  type NumberedEvent,
  type NumberedLog,
} from './events/numbered-log.js';
