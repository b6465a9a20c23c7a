import { createHash } from 'node:crypto';
import { clone, create, toBinary } from '@bufbuild/protobuf';
import {
  JobSchema,
  MergeOptions_DtypeSchema,
  TuneOptionsSchema,
  type Job,
  type MergeOptions,
} from '@emloc/contracts';
import type { Versioned } from '@emloc/nats';
import { invalidRequest, RpcError, type FieldViolation } from '@emloc/rpc';

import { isDisplayName } from '../datasets.js';
import type { JobRecord } from '../jobs/record.js';

const maxDisplayName = 63;
const requestIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** @throws RpcError INVALID_ARGUMENT with all that is wrong with a request by itself */
export function assertRequest(job: Job | undefined, requestId: string): void {
  const problems = requestProblems(job, requestId);
  if (problems.length > 0) throw invalidRequest(problems);
}

function requestProblems(job: Job | undefined, requestId: string): readonly FieldViolation[] {
  const isKnown = (dtype: MergeOptions['dtype']): boolean =>
    MergeOptions_DtypeSchema.values.some(({ number }) => number === dtype);
  return [
    ...(job ? [] : [{ field: 'job', description: 'is required' }]),
    ...(requestIdPattern.test(requestId)
      ? []
      : [{ field: 'request_id', description: 'must be a UUID version 4' }]),
    ...(isDisplayName(job?.displayName ?? '', maxDisplayName)
      ? []
      : [
          {
            field: 'job.display_name',
            description: `must have at most ${maxDisplayName} characters and no control characters`,
          },
        ]),
    ...(!job?.merge || isKnown(job.merge.dtype)
      ? []
      : [
          {
            field: 'job.merge.dtype',
            description: `${job.merge.dtype} is no element type that this server knows`,
          },
        ]),
    ...(job && !job.options ? [{ field: 'job.options', description: 'is required' }] : []),
  ];
}

/** The job's identifier: the same for the same tenant and request id. */
export function requestedJobId(tenant: string, requestId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([tenant, requestId.toLowerCase()]))
    .digest('hex')
    .slice(0, 24);
}

/** What a client decides about a job; what only the server sets does not count. */
export function requestHashOf(job: Job | undefined): string {
  const { displayName = '', options, merge } = job ?? create(JobSchema);
  const decided = create(JobSchema, {
    displayName,
    ...(options ? { options: clone(TuneOptionsSchema, options) } : {}),
    ...(merge ? { merge } : {}),
  });
  return createHash('sha256')
    .update(toBinary(JobSchema, decided, { writeUnknownFields: false }))
    .digest('hex');
}

/**
 * The job that a request has made before.
 * @throws RpcError ALREADY_EXISTS when that request had other contents, ABORTED while it is deleted
 */
export function sameRequest(
  { value }: Versioned<JobRecord>,
  requestHash: string,
  requestId: string,
): JobRecord {
  if (value.deleteTime !== undefined)
    throw new RpcError('ABORTED', `the job of request ${requestId} is being deleted`, {
      reason: 'JOB_BEING_DELETED',
      retryDelayMs: 500,
    });
  if (value.requestHash === requestHash) return value;
  throw otherContents(requestId);
}

/** The error of a request id that comes again with other contents. */
export function otherContents(requestId = ''): RpcError {
  return new RpcError(
    'ALREADY_EXISTS',
    `request_id ${requestId} has made a job with other contents`.replace('  ', ' '),
    { reason: 'REQUEST_ID_REUSED' },
  );
}
