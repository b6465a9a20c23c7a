export * from './authentication.js';
export { type CallOptions, type ChannelOptions, RpcChannel } from './client.js';
export { codeNumber, codeOf, type RpcCode, rpcCodes } from './codes.js';
export { type CallContext, requestIdKey } from './context.js';
export { toRpcError } from './engine-errors.js';
export * from './errors.js';
export { Health, livenessService } from './health.js';
export * from './listen-rule.js';
export type { Callers, Handlers, Service } from './methods.js';
export { backoffMs, defaultRetryPolicy, isRetryable, type RetryPolicy } from './retry.js';
export {
  defaultServerOptions,
  type ListenOptions,
  RpcServer,
  type RpcServerOptions,
} from './server.js';
export type { RpcObserver } from './server-call.js';
export { untilAborted } from './streams.js';
export { clientCredentials, serverCredentials, type TlsOptions } from './tls.js';
export { fromStatus, toStatus } from './wire-errors.js';
