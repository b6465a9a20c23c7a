import { systemClock, type Timer } from '@emloc/time';
import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type Metadata,
  type ServerInterceptor,
} from '@grpc/grpc-js';

import { identityOf, type Authenticator } from './authentication.js';
import type { RpcCode } from './codes.js';
import { requestIdOf } from './context.js';
import { toRpcError } from './engine-errors.js';
import { RpcError } from './errors.js';
import { toGrpcStatus } from './wire-errors.js';

export interface EarlyRefusal {
  /** Of the service that a method belongs to, by the method's path. */
  readonly authenticatorOf: (path: string) => Authenticator | undefined;
  /** How long the request of a method with a single one may be on its way. */
  readonly requestMs: number;
  readonly onRefused: (path: string, refusal: Refusal) => void;
}

interface Refusal {
  readonly requestId: string;
  readonly code: RpcCode;
  readonly error: RpcError;
}

/**
 * Refuses calls before their request is read: of callers that nobody knows nothing is kept in
 * memory, and of others a request only for as long as one may take.
 */
export function refuseEarly({
  authenticatorOf,
  requestMs,
  onRefused,
}: EarlyRefusal): ServerInterceptor {
  return ({ path, requestStream }, call) => {
    let timer: Timer | undefined;
    const refuse = (metadata: Metadata, refusal: RpcError): void => {
      const requestId = requestIdOf(metadata);
      const error = toRpcError(refusal, { request_id: requestId });
      onRefused(path, { requestId, code: error.code, error });
      call.sendStatus(toGrpcStatus(error));
    };
    const admit = async (metadata: Metadata): Promise<RpcError | null> => {
      const authenticate = authenticatorOf(path);
      try {
        await authenticate?.(identityOf(metadata, call.getAuthContext()));
        return null;
      } catch (error) {
        return toRpcError(error);
      }
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        void admit(metadata).then((error) => {
          if (error) return refuse(metadata, error);
          if (!requestStream)
            timer = systemClock.after(requestMs, () => refuse(metadata, requestLate(requestMs)), {
              holdsProcess: false,
            });
          return next(metadata);
        });
      })
      .withOnReceiveHalfClose((next) => {
        timer?.end();
        next();
      })
      .withOnCancel(() => timer?.end())
      .build();
    return new ServerInterceptingCall(
      call,
      new ResponderBuilder().withStart((next) => next(listener)).build(),
    );
  };
}

function requestLate(requestMs: number): RpcError {
  return new RpcError('DEADLINE_EXCEEDED', `the request was not complete within ${requestMs} ms`, {
    reason: 'REQUEST_TOO_SLOW',
  });
}
