export { ServiceKitError, isServiceKitError } from './errors.js';
export { connectNats, type NatsAccess, type NatsAuth, type NatsTls } from './nats/access.js';
export { isTransient } from './nats/retry.js';
export { openLane, type Lane } from './nats/lane.js';
export type { LaneMessage } from './nats/lane-parser.js';
export { forgetNatsPorts, readNatsPorts } from './nats/ports-file.js';
export {
  findNatsServer,
  natsServerEnvironment,
  randomSecret,
  startNatsServer,
  type NatsServer,
} from './nats/server.js';
export {
  natsServerConfig,
  natsServerLimits,
  type NatsPermissions,
  type NatsServerUser,
  type NatsVariable,
} from './nats/server-config.js';
export type { NatsConnection } from '@nats-io/transport-node';
export {
  openObjectBucket,
  rangeSource,
  streamSource,
  type ObjectBucket,
  type ObjectSink,
  type PutOptions,
  type ReadOptions,
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
export {
  compileOptions,
  describeOptions,
  secretValues,
  type OptionSet,
  type OptionValues,
} from './options/compile-options.js';
export {
  booleanOption,
  bytesOption,
  choiceOption,
  durationOption,
  integerOption,
  listOption,
  stringOption,
} from './options/option-types.js';
export { createLogger, type Logger } from './log/logger.js';
export { createShutdown, type Shutdown } from './shutdown/shutdown.js';
export { createWorkerHost, moved, type RunOptions, type WorkerHost } from './worker/host.js';
export type { Moved, WorkerContract } from './worker/messages.js';
export { serveWorker, type WorkerContext } from './worker/serve.js';
