export { ServiceKitError, isServiceKitError, type ServiceKitErrorCode } from './errors.js';
export { connectNats, type NatsAccess, type NatsAuth, type NatsTls } from './nats/access.js';
export { openLane, type Lane, type LaneOptions } from './nats/lane.js';
export type { LaneMessage } from './nats/lane-parser.js';
export { findNatsServer, freePort, randomSecret, startNatsServer, type NatsServer, type StartNatsServerOptions } from './nats/server.js';
export { natsServerConfig, type NatsPermissions, type NatsServerConfig, type NatsServerTls, type NatsServerUser } from './nats/server-config.js';
export type { NatsConnection } from '@nats-io/transport-node';
export { openObjectBucket, rangeSource, streamSource, type ChunkSource, type ObjectBucket, type ObjectBucketOptions, type ObjectSink, type PutOptions, type ReadOptions, type StoredObject } from './objects/object-bucket.js';
