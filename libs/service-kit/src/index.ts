export { ServiceKitError, isServiceKitError, type ServiceKitErrorCode } from './errors.js';
export { connectNats, type NatsAccess, type NatsAuth, type NatsTls } from './nats/access.js';
export { isTransient } from './nats/retry.js';
export { openLane, type Lane, type LaneOptions } from './nats/lane.js';
export type { LaneMessage } from './nats/lane-parser.js';
export { forgetNatsPorts, readNatsPorts, type NatsPorts } from './nats/ports-file.js';
export {
  findNatsServer,
  natsServerEnvironment,
  randomSecret,
  startNatsServer,
  type NatsServer,
  type StartNatsServerOptions,
} from './nats/server.js';
export {
  natsServerConfig,
  natsServerLimits,
  type NatsPermissions,
  type NatsServerConfig,
  type NatsServerTls,
  type NatsServerUser,
  type NatsVariable,
} from './nats/server-config.js';
export type { NatsConnection } from '@nats-io/transport-node';
export { createGmac, gmacBytes, type Digest, type DigestAlgorithm } from './objects/digest.js';
export {
  openObjectBucket,
  rangeSource,
  streamSource,
  type ChunkSource,
  type FollowOptions,
  type GetOptions,
  type ObjectBucket,
  type ObjectBucketOptions,
  type ObjectSink,
  type PutOptions,
  type ReadOptions,
  type StoredObject,
} from './objects/object-bucket.js';
export { getObjectFile } from './objects/object-file.js';
export {
  openRecordStore,
  type RecordChange,
  type RecordStore,
  type RecordStoreOptions,
  type Versioned,
} from './records/record-store.js';
export {
  acquireLease,
  modifyFenced,
  tryAcquireLease,
  type AcquireLeaseOptions,
  type Fenced,
  type Lease,
  type LeaseRecord,
} from './leases/lease.js';
export {
  openWorkQueue,
  type WorkItem,
  type WorkQueue,
  type WorkQueueOptions,
  type WorkState,
} from './queue/work-queue.js';
export {
  openNumberedLog,
  type LogWriter,
  type NumberedEvent,
  type NumberedLog,
  type NumberedLogOptions,
} from './events/numbered-log.js';
export {
  compileOptions,
  describeOptions,
  printableOptions,
  secretValues,
  type OptionSet,
  type OptionSources,
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
  type Option,
} from './options/option-types.js';
export { createLogger, type Logger, type LoggerOptions, type LogLevel } from './log/logger.js';
export { createShutdown, type Shutdown, type ShutdownOptions } from './shutdown/shutdown.js';
export {
  createWorkerHost,
  moved,
  type RunOptions,
  type WorkerHost,
  type WorkerHostOptions,
} from './worker/host.js';
export type { Moved, WorkerContract } from './worker/messages.js';
export { serveWorker, type WorkerContext } from './worker/serve.js';
