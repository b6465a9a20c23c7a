import { createHash } from 'node:crypto';
import { clone, create, equals, toBinary, toJson } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  JobSchema,
  JobSpecSchema,
  MergeOptions_DtypeSchema,
  MergeOptionsSchema,
  TuneOptionsSchema,
  type CreateJobRequest,
  type Job,
  type JobSpec,
  type MergeOptions,
} from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { utcDay } from '@emloc/pipeline';
import { invalidRequest, RpcError, toRpcError, type FieldViolation } from '@emloc/rpc';
import { isServiceKitError, type RecordStore, type Versioned } from '@emloc/service-kit';

import { isDisplayName } from '../datasets.js';
import type { JobIndex } from '../jobs/job-index.js';
import { jobKey, type JobRecord } from '../jobs/record.js';
import { newJobRecord } from '../jobs/transitions.js';
import type { DatasetFiles } from '../outcome/dataset-files.js';
import { maxInspectedBytes, type Engine, type Inspection } from '../outcome/engine.js';
import type { Places } from './places.js';
import { rowViolations } from './row-problems.js';
import { checkTuneOptions, type CheckedOptions, type OptionLimits } from './tune-options.js';

export interface JobCreation {
  readonly store: RecordStore<JobRecord>;
  readonly storage: JobStorage;
  readonly index: JobIndex;
  readonly engine: Pick<Engine, 'inspect'>;
  readonly datasetFiles: DatasetFiles;
  /** Of inspections, each of which has files. */
  readonly inspecting: Places;
  readonly limits: OptionLimits;
  readonly maxQueuedJobs: number;
  /**
   * Jobs that calls of this process are making now, by id, with their tenants: they take room
   * already.
   */
  readonly inCreation: Map<string, string>;
  readonly onCreated?: () => void;
}

const maxDisplayName = 63;
const requestIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * Queues a job once per tenant and request id, whatever part of it has been done before.
 * @throws RpcError
 */
export async function createJob(
  { job, requestId }: CreateJobRequest,
  tenant: string,
  creation: JobCreation,
): Promise<JobRecord> {
  const problems = requestProblems(job, requestId);
  if (problems.length > 0) throw invalidRequest(problems);
  const id = jobIdOf(tenant, requestId);
  const requestHash = hashOf(job);
  const standing = await creation.store.get(jobKey(tenant, id));
  if (standing) return sameRequest(standing, requestHash, requestId);
  const checked = await checkTuneOptions(job?.options, 'job.options', creation.limits);
  const { isEmulated, ...rows } = await creation.inspecting(() => inspect(checked, creation));
  const violations = rowViolations(checked.plain, rows, {
    prefix: 'job.options',
    maxSteps: creation.limits.maxSteps,
  });
  if (violations.length > 0) throw invalidRequest(violations);
  return withRoom(id, tenant, creation, () =>
    createChecked({ job, requestId, requestHash, checked, isEmulated }, { id, tenant }, creation),
  );
}

interface CheckedRequest {
  readonly job: Job | undefined;
  readonly requestId: string;
  readonly requestHash: string;
  readonly checked: CheckedOptions;
  readonly isEmulated: boolean;
}

async function createChecked(
  { job, requestId, requestHash, checked, isEmulated }: CheckedRequest,
  { id, tenant }: Pick<JobRecord, 'id' | 'tenant'>,
  creation: JobCreation,
): Promise<JobRecord> {
  const spec = await writeSpec({ id, tenant, merge: job?.merge, checked }, creation.storage);
  const { bucket, key, revision } = spec.reference;
  const record = newJobRecord(
    {
      id,
      tenant,
      requestHash,
      displayName: job?.displayName ?? '',
      isEmulated,
      options: toJson(TuneOptionsSchema, spec.options),
      merge: job?.merge ? toJson(MergeOptionsSchema, job.merge) : null,
      spec: { bucket, key, revision: Number(revision) },
    },
    spec.createTime,
  );
  return createOnce(record, requestId, creation);
}

/** The same for the same tenant and request id. */
function jobIdOf(tenant: string, requestId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([tenant, requestId.toLowerCase()]))
    .digest('hex')
    .slice(0, 24);
}

/** What a client decides about a job; what only the server sets does not count. */
function hashOf(job: Job | undefined): string {
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

/**
 * Asks the engine about model and rows.
 * @throws RpcError INVALID_ARGUMENT for a model or options that do not go with it, and for
 * unreadable rows
 */
async function inspect(
  checked: CheckedOptions,
  { engine, datasetFiles }: Pick<JobCreation, 'engine' | 'datasetFiles'>,
): Promise<Inspection> {
  const held = await datasetFiles.open(checked, { maxBytes: maxInspectedBytes });
  try {
    return await engine.inspect(held.options);
  } catch (error) {
    const seen = toRpcError(error);
    if (seen.code !== 'INVALID_ARGUMENT' && seen.code !== 'NOT_FOUND') throw error;
    const description = seen.message.replaceAll(`${held.folder}/`, '');
    throw new RpcError('INVALID_ARGUMENT', `job.options: ${description}`, {
      reason: seen.reason,
      fieldViolations: [{ field: 'job.options', description }],
      cause: error,
    });
  } finally {
    await held.close();
  }
}

/**
 * Makes a job while it takes room, so that calls of this process at the same time cannot exceed the
 * limit together.
 * @throws RpcError RESOURCE_EXHAUSTED
 */
async function withRoom<T>(
  id: string,
  tenant: string,
  creation: JobCreation,
  make: () => Promise<T>,
): Promise<T> {
  const { inCreation } = creation;
  // Repetitions of one request make one job: the first of them holds its room.
  if (inCreation.has(id)) return make();
  assertRoom(id, tenant, creation);
  inCreation.set(id, tenant);
  try {
    return await make();
  } finally {
    inCreation.delete(id);
  }
}

function assertRoom(
  id: string,
  tenant: string,
  { index, maxQueuedJobs, inCreation }: JobCreation,
): void {
  const waiting = new Set(
    [...inCreation].filter(([, owner]) => owner === tenant).map(([key]) => key),
  );
  for (const job of index.all())
    if (job.tenant === tenant && job.state === 'QUEUED') waiting.add(job.id);
  const queued = waiting.size;
  if (queued < maxQueuedJobs || waiting.has(id)) return;
  throw new RpcError(
    'RESOURCE_EXHAUSTED',
    `${queued} jobs are queued, ${maxQueuedJobs} are allowed`,
    { reason: 'TOO_MANY_QUEUED_JOBS' },
  );
}

interface NewSpec {
  readonly id: string;
  readonly tenant: string;
  readonly merge: MergeOptions | undefined;
  readonly checked: CheckedOptions;
}

/**
 * Writes the specification, or finds the one that an earlier call left; a job without a date has
 * that of the day on which this was done first.
 * @throws RpcError ALREADY_EXISTS when that one asked for something else
 */
async function writeSpec({ id, tenant, merge, checked }: NewSpec, storage: JobStorage) {
  const { message, data, validation } = checked;
  const now = new Date();
  const wantedOn = (day: string): JobSpec =>
    create(JobSpecSchema, {
      job: `jobs/${id}`,
      tenant,
      options: { ...message, date: message.date ?? day },
      createTime: timestampFromDate(now),
      ...(merge ? { merge } : {}),
      ...(data ? { data } : {}),
      ...(validation ? { validation } : {}),
    });
  const wanted = wantedOn(utcDay(now));
  const reference = await storage.writeSpec(wanted).catch((error: unknown) => {
    if (!isServiceKitError(error, 'RECORD_EXISTS')) throw error;
    return storage.writeSpec(wanted);
  });
  const written = await storage.readSpec(reference);
  const createTime = written.createTime ? timestampDate(written.createTime) : now;
  const expected = wantedOn(utcDay(createTime));
  if (!equals(JobSpecSchema, withoutTime(written), withoutTime(expected))) throw otherContents();
  return { reference, createTime, options: written.options ?? message };
}

function withoutTime(spec: JobSpec): JobSpec {
  return { ...clone(JobSpecSchema, spec), createTime: undefined };
}

async function createOnce(
  record: JobRecord,
  requestId: string,
  { store, index, onCreated }: JobCreation,
): Promise<JobRecord> {
  const key = jobKey(record.tenant, record.id);
  try {
    const written = await store.create(key, record);
    index.apply(written);
    onCreated?.();
    return written.value;
  } catch (error) {
    if (!isServiceKitError(error, 'RECORD_EXISTS')) throw error;
    const standing = await store.get(key);
    if (!standing) throw error;
    return sameRequest(standing, record.requestHash, requestId);
  }
}

function sameRequest(
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

function otherContents(requestId = ''): RpcError {
  return new RpcError(
    'ALREADY_EXISTS',
    `request_id ${requestId} has made a job with other contents`.replace('  ', ' '),
    { reason: 'REQUEST_ID_REUSED' },
  );
}
