import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, durationFromMs, durationMs, type Any } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
  StatusSchema,
  type Status,
} from '@emloc/contracts';
import { Metadata } from '@grpc/grpc-js';

import { codeNumber, codeOf } from './codes.js';
import { RpcError } from './errors.js';

/** Trailer that holds a google.rpc.Status. */
const detailsKey = 'grpc-status-details-bin';

/** An error as the message google.rpc.Status, as jobs and events carry it. */
export function toStatus({
  code,
  message,
  reason,
  domain,
  metadata,
  fieldViolations,
  retryDelayMs,
}: RpcError): Status {
  const details: Any[] = [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain, metadata })),
  ];
  if (fieldViolations.length > 0) {
    details.push(
      anyPack(
        BadRequestSchema,
        create(BadRequestSchema, {
          fieldViolations: fieldViolations.map((violation) => ({ ...violation })),
        }),
      ),
    );
  }
  if (retryDelayMs !== null) {
    details.push(
      anyPack(
        RetryInfoSchema,
        create(RetryInfoSchema, { retryDelay: durationFromMs(retryDelayMs) }),
      ),
    );
  }
  return create(StatusSchema, { code: codeNumber(code), message, details });
}

/** The error that a google.rpc.Status stands for. Details of unknown types are ignored. */
export function fromStatus(status: Status, options: ErrorOptions = {}): RpcError {
  const find = <T>(read: (detail: Any) => T | undefined): T | undefined =>
    status.details.map(read).find((detail) => detail !== undefined);
  const info = find((detail) => anyUnpack(detail, ErrorInfoSchema));
  const badRequest = find((detail) => anyUnpack(detail, BadRequestSchema));
  const retry = find((detail) => anyUnpack(detail, RetryInfoSchema));
  return new RpcError(codeOf(status.code), status.message, {
    reason: info?.reason,
    domain: info?.domain,
    metadata: info ? { ...info.metadata } : {},
    fieldViolations:
      badRequest?.fieldViolations.map(({ field, description }) => ({ field, description })) ?? [],
    retryDelayMs: retry?.retryDelay ? durationMs(retry.retryDelay) : null,
    ...options,
  });
}

/**
 * What grpc-js sends for an error. Long texts are cut: peers refuse trailers of more than 8 KiB or
 * so.
 */
export function toGrpcStatus(error: RpcError): {
  code: number;
  details: string;
  metadata: Metadata;
} {
  const short = shortened(error);
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(toBinary(StatusSchema, toStatus(short))));
  return { code: codeNumber(short.code), details: short.message, metadata };
}

/**
 * Characters of a message, of a text in the details, and number of field violations that are sent.
 */
const sentLimits = Object.freeze({ message: 1000, text: 200, fieldViolations: 8 });

function shortened({
  code,
  message,
  reason,
  domain,
  metadata,
  fieldViolations,
  retryDelayMs,
}: RpcError): RpcError {
  return new RpcError(code, cut(message, sentLimits.message), {
    reason,
    domain,
    metadata: Object.fromEntries(
      Object.entries(metadata).map(([key, value]) => [key, cut(value, sentLimits.text)]),
    ),
    fieldViolations: fieldViolations
      .slice(0, sentLimits.fieldViolations)
      .map(({ field, description }) => ({
        field: cut(field, sentLimits.text),
        description: cut(description, sentLimits.text),
      })),
    retryDelayMs,
  });
}

/**
 * At most so many characters; half a surrogate pair, which no header can hold, becomes a
 * replacement character.
 */
function cut(text: string, characters: number): string {
  const whole = text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
  return Buffer.from(whole, 'utf8').toString('utf8');
}

/** The error that grpc-js's client received, from any server. */
export function fromGrpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  const { code, details, message, metadata } = error as {
    code?: number;
    details?: string;
    message?: string;
    metadata?: Metadata;
  };
  if (typeof code !== 'number')
    return new RpcError('UNKNOWN', message ?? String(error), { cause: error });
  const status = statusOf(metadata);
  if (status) return fromStatus(status, { cause: error });
  return new RpcError(codeOf(code), details ?? message ?? '', { domain: 'grpc', cause: error });
}

function statusOf(metadata: Metadata | undefined): Status | null {
  const [bytes] = metadata?.get(detailsKey) ?? [];
  if (!Buffer.isBuffer(bytes)) return null;
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    return null;
  }
}
