import { status } from '@grpc/grpc-js';

/** The canonical gRPC status codes by name, without OK. */
export const rpcCodes = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const satisfies readonly (keyof typeof status)[];

export type RpcCode = (typeof rpcCodes)[number];

/** The number of a code on the wire. */
export function codeNumber(code: RpcCode): number {
  return status[code];
}

/** The code of a number on the wire; UNKNOWN for numbers that have none. */
export function codeOf(number: number | undefined): RpcCode {
  return rpcCodes.find((code) => status[code] === number) ?? 'UNKNOWN';
}
