import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import type { JobService } from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { isNatsError, type NumberedLog, type RecordStore, type Versioned } from '@emloc/nats';
import { invalidRequest, isRpcError, RpcError, type CallContext, type Handlers } from '@emloc/rpc';

import { downloadArtifact } from '../artifacts.js';
import { findDataset, uploadDataset } from '../datasets.js';
import type { JobFeed } from '../jobs/feed.js';
import type { JobIndex, JobSummary } from '../jobs/job-index.js';
import type { LogEntry } from '../jobs/ledger.js';
import { toArtifactMessage, toJobMessage } from '../jobs/message.js';
import { isFinal, jobKey, type JobRecord, type JobState } from '../jobs/record.js';
import { requestCancel, requestDelete } from '../jobs/transitions.js';
import type { DatasetFiles } from '../outcome/dataset-files.js';
import type { Engine } from '../outcome/engine.js';
import { artifactName, jobNotFound, parseArtifactName, parseJobName } from '../resource-names.js';
import type { Roots } from '../tenant-roots.js';
import { createJob } from './create-job.js';
import { parseFilter } from './filter.js';
import { pageOf } from './pages.js';
import { planJob, planLimits } from './plan-job.js';
import { createQuota } from './quota.js';
import { checkTuneOptions, type OptionLimits } from './tune-options.js';
import { createTurns, type TurnLimits } from './turns.js';
import { watchJob } from './watch-job.js';

export interface JobServiceParts {
  readonly store: RecordStore<JobRecord>;
  readonly storage: JobStorage;
  readonly log: NumberedLog<LogEntry>;
  readonly index: JobIndex;
  readonly feed: JobFeed;
  readonly engine: Pick<Engine, 'inspect' | 'plan'>;
  readonly datasetFiles: DatasetFiles;
  readonly limits: Omit<OptionLimits, 'findDataset' | keyof Roots>;
  readonly rootsOf: (tenant: string) => Roots;
  readonly maxQueuedJobs: number;
  readonly uploads: { readonly maxDatasetBytes: number; readonly idleMs: number };
  /** Uploads of one tenant at the same time. */
  readonly maxUploads: number;
  /** A job went into a state at a client's request. */
  readonly onTransition?: (state: JobState) => void;
}

/** Each inspection has a thread, and up to two files of what it looks at. */
const inspectionLimits: TurnLimits = Object.freeze({
  places: 4,
  placesOfTenant: 2,
  waitingOfTenant: 1000,
  restAfterMs: 1000,
  work: 'jobs to be checked',
  reason: 'TOO_MANY_INSPECTIONS',
});

/**
 * The job service. All state is in JetStream, so that any number of processes may serve it at once.
 */
export function jobServiceHandlers(
  parts: JobServiceParts,
): Handlers<typeof JobService, CallContext> {
  const { store, storage, log, index, feed } = parts;
  const inCreation = new Map<string, string>();
  const [inspecting, planning] = [createTurns(inspectionLimits), createTurns(planLimits)];
  const uploading = createQuota({
    most: parts.maxUploads,
    work: 'uploads',
    reason: 'TOO_MANY_UPLOADS',
  });
  const limitsFor = (tenant: string): OptionLimits => ({
    ...parts.limits,
    ...parts.rootsOf(tenant),
    findDataset: (sha256) => findDataset(storage.datasets, tenant, sha256),
  });
  const read = (
    name: string,
    context: CallContext,
    field = 'name',
  ): Promise<Versioned<JobRecord>> => readJob(store, name, tenantOf(context), field);
  return {
    createJob: async (request, context) => {
      const tenant = tenantOf(context);
      return toJobMessage(
        await createJob(request, tenant, {
          ...parts,
          inCreation,
          inspecting,
          planning,
          limits: limitsFor(tenant),
          signal: context.signal,
          onCreated: () => parts.onTransition?.('QUEUED'),
        }),
      );
    },
    getJob: async ({ name }, context) => {
      const { value } = await read(name, context);
      return toJobMessage(value, await newestSequence(value, log));
    },
    listJobs: async (request, context) => listJobs(index, tenantOf(context), request),
    cancelJob: async ({ name }, context) => {
      const {
        value: { id, tenant, state: before },
      } = await read(name, context);
      const written = await store.modify(jobKey(tenant, id), (record) =>
        requestCancel(record, new Date()),
      );
      index.apply(written);
      const { state } = written.value;
      if (state === 'CANCELLING' && before !== 'CANCELLING') parts.onTransition?.(state);
      if (state === 'SUCCEEDED' || state === 'FAILED')
        throw new RpcError('FAILED_PRECONDITION', `jobs/${id} has ended: ${state}`, {
          reason: 'JOB_HAS_ENDED',
        });
      return toJobMessage(written.value, await newestSequence(written.value, log));
    },
    deleteJob: async ({ name, allowMissing }, context) => {
      await deleteJob(parseJobName(name), tenantOf(context), { store, index, allowMissing });
      return create(EmptySchema);
    },
    watchJob: (request, context) =>
      watchJob(request, context, {
        read: (name) => read(name, context),
        newestSequence: (record) => newestSequence(record, log),
        feed,
      }),
    listArtifacts: async ({ parent, pageSize, pageToken }, context) => {
      const {
        value: { id, artifacts },
      } = await read(parent, context, 'parent');
      const sorted = [...artifacts].sort((a, b) => (a.path < b.path ? -1 : 1));
      const page = pageOf(sorted, ({ path }) => path, {
        pageSize,
        pageToken,
        standard: 100,
        most: 1000,
        query: id,
        order: 'ascending',
      });
      return {
        artifacts: page.items.map((artifact) => toArtifactMessage(id, artifact)),
        nextPageToken: page.nextPageToken,
      };
    },
    async *downloadArtifact({ name, offsetBytes }, context) {
      const {
        value: { id, artifacts },
      } = await read(`jobs/${parseArtifactName(name).job}`, context);
      const artifact = artifacts.find(({ path }) => artifactName(id, path) === name);
      if (!artifact)
        throw new RpcError('NOT_FOUND', `${name} was not found`, { reason: 'ARTIFACT_NOT_FOUND' });
      if (offsetBytes < 0n)
        throw invalidRequest([
          { field: 'offset_bytes', description: `${offsetBytes} given, at least 0 is expected` },
        ]);
      yield* downloadArtifact(storage.artifacts, id, {
        artifact,
        offset: Number(offsetBytes),
        signal: context.signal,
      });
    },
    uploadDataset: (requests, context) => {
      const tenant = tenantOf(context);
      return uploading(tenant, () =>
        uploadDataset(storage.datasets, tenant, requests, {
          ...parts.uploads,
          signal: context.signal,
        }),
      );
    },
    planJob: async ({ options }, context) => {
      const tenant = tenantOf(context);
      const checked = await checkTuneOptions(options, 'options', limitsFor(tenant));
      return planning(tenant, context.signal, () => planJob(checked, parts, context.signal));
    },
  };
}

/** @throws RpcError PERMISSION_DENIED for a caller that is no tenant */
function tenantOf({ principal }: Pick<CallContext, 'principal'>): string {
  if (principal.kind === 'tenant') return principal.tenant;
  throw new RpcError('PERMISSION_DENIED', 'jobs belong to tenants: a bearer token is needed', {
    reason: 'NO_TENANT',
  });
}

/**
 * A tenant's job; what belongs to another is not there.
 * @throws RpcError NOT_FOUND, INVALID_ARGUMENT
 */
async function readJob(
  store: RecordStore<JobRecord>,
  name: string,
  tenant: string,
  field: string,
): Promise<Versioned<JobRecord>> {
  const id = parseJobName(name, field);
  const record = await store.get(jobKey(tenant, id));
  if (!record || record.value.tenant !== tenant || record.value.deleteTime !== undefined)
    throw jobNotFound(id);
  return record;
}

/**
 * Hides a job that is over; the leader does the rest.
 * @throws RpcError NOT_FOUND, FAILED_PRECONDITION
 */
async function deleteJob(
  id: string,
  tenant: string,
  {
    store,
    index,
    allowMissing,
  }: { store: RecordStore<JobRecord>; index: JobIndex; allowMissing: boolean },
): Promise<void> {
  try {
    await readJob(store, `jobs/${id}`, tenant, 'name');
    const written = await store.modify(jobKey(tenant, id), (record) =>
      requestDelete(record, new Date()),
    );
    index.apply(written);
    const { state, deleteTime } = written.value;
    if (deleteTime === undefined)
      throw new RpcError(
        'FAILED_PRECONDITION',
        `jobs/${id} is ${state}: only jobs that are over can be deleted`,
        { reason: 'JOB_NOT_OVER' },
      );
  } catch (error) {
    const isMissing =
      isNatsError(error, 'RECORD_NOT_FOUND') || (isRpcError(error) && error.code === 'NOT_FOUND');
    if (!isMissing) throw error;
    if (!allowMissing) throw jobNotFound(id);
  }
}

/** The record of a job that has ended counts the events that are still on their way to the log. */
async function newestSequence(record: JobRecord, log: NumberedLog<LogEntry>): Promise<number> {
  if (isFinal(record.state)) return record.lastEventSequence;
  return (await log.last(record.id))?.number ?? 0;
}

function listJobs(
  index: JobIndex,
  tenant: string,
  { filter, pageSize, pageToken }: { filter: string; pageSize: number; pageToken: string },
) {
  const matches = parseFilter(filter);
  const keyOf = ({ createTime, id }: JobSummary): string => `${createTime} ${id}`;
  const found = [...index.all()]
    .filter((job) => job.tenant === tenant && job.deleteTime === undefined && matches(job))
    .sort((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1));
  const page = pageOf(
    found,
    keyOf,
    { pageSize, pageToken, standard: 50, most: 1000, query: filter, order: 'descending' },
    ({ options }) => Buffer.byteLength(JSON.stringify(options)),
  );
  return {
    jobs: page.items.map((job) => toJobMessage({ ...job, requestHash: '' })),
    nextPageToken: page.nextPageToken,
  };
}
