import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type Message,
} from '@bufbuild/protobuf';
import type { MethodDefinition } from '@grpc/grpc-js';

import { RpcError } from './errors.js';
import { hasTooManyFields, maxFields } from './field-limit.js';

/** `/package.Service/Method`, as it is on the wire. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * A method for grpc-js. Messages cross it as bytes, so that what cannot be parsed ends in this
 * library's errors, and in INVALID_ARGUMENT on a server.
 */
export function toMethodDefinition(method: DescMethod): MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path: methodPath(method),
    requestStream:
      method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream:
      method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** The bytes of a message that may be given as a plain object. */
export function encode(schema: DescMessage, message: Record<string, unknown>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * @throws RpcError with the code that the reading side uses for bytes that are no such message, or,
 * on a server, for a message of too many fields
 */
export function decode(
  schema: DescMessage,
  bytes: Buffer,
  code: 'INVALID_ARGUMENT' | 'INTERNAL',
): Message {
  if (code === 'INVALID_ARGUMENT' && hasTooManyFields(schema, bytes))
    throw new RpcError(code, `${schema.typeName}: has more than ${maxFields} fields`, {
      reason: 'TOO_MANY_FIELDS',
    });
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new RpcError(code, `${schema.typeName}: ${bytes.length} bytes that are no such message`, {
      reason: 'MALFORMED_MESSAGE',
      cause,
    });
  }
}
