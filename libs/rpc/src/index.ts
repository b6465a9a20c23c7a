export {
  hashToken,
  bearerTokens,
  certificateNames,
  type Principal,
  type Authenticator,
  anyone,
  type TenantToken,
} from './authentication.js';
export { type CallOptions, type ChannelOptions, RpcChannel } from './client.js';
export { codeNumber, codeOf, type RpcCode, rpcCodes } from './codes.js';
export { type CallContext } from './context.js';
export { toRpcError } from './engine-errors.js';
export { isRpcError, invalidRequest, type FieldViolation, RpcError } from './errors.js';
export { livenessService } from './health.js';
export { isLoopback, assertListenAllowed } from './listen-rule.js';
export type { Callers, Handlers, Service } from './methods.js';
export { defaultRetryPolicy, isRetryable, retryPauseMs, type RetryPolicy } from './retry.js';
export { RpcServer, type RpcServerOptions } from './server.js';
export type { RpcObserver } from './server-call.js';
export { untilAborted } from './streams.js';
export { clientCredentials, serverCredentials, type TlsOptions } from './tls.js';
export { fromStatus, toStatus } from './wire-errors.js';
