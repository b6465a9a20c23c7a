import { toJson } from '@bufbuild/protobuf';
import {
  MergeOptionsSchema,
  TuneOptionsSchema,
  type CreateJobRequest,
  type Job,
} from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { isNatsError, type RecordStore } from '@emloc/nats';

import { jobKey, type JobRecord } from '../jobs/record.js';
import { newJobRecord } from '../jobs/transitions.js';
import { withRoom, type Admission } from './admission.js';
import { checkJob, type CheckedJob, type JobChecks } from './checked-job.js';
import { writeSpec } from './job-spec.js';
import { assertRequest, requestedJobId, requestHashOf, sameRequest } from './request.js';

export interface JobCreation extends Admission, Omit<JobChecks, 'tenant'> {
  readonly store: RecordStore<JobRecord>;
  readonly storage: JobStorage;
  readonly onCreated?: () => void;
}

/**
 * Queues a job once per tenant and request id, whatever part of it has been done before.
 * @throws RpcError
 */
export async function createJob(
  { job, requestId }: CreateJobRequest,
  tenant: string,
  creation: JobCreation,
): Promise<JobRecord> {
  assertRequest(job, requestId);
  const id = requestedJobId(tenant, requestId);
  const requestHash = requestHashOf(job);
  const standing = await creation.store.get(jobKey(tenant, id));
  if (standing) return sameRequest(standing, requestHash, requestId);
  const checkedJob = await checkJob(job, { ...creation, tenant });
  return withRoom(id, tenant, creation, () =>
    createChecked({ job, requestId, requestHash, ...checkedJob }, { id, tenant }, creation),
  );
}

interface CheckedRequest extends CheckedJob {
  readonly job: Job | undefined;
  readonly requestId: string;
  readonly requestHash: string;
}

async function createChecked(
  { job, requestId, requestHash, checked, isEmulated, modelKind, choice }: CheckedRequest,
  { id, tenant }: Pick<JobRecord, 'id' | 'tenant'>,
  creation: JobCreation,
): Promise<JobRecord> {
  const spec = await writeSpec(
    { id, tenant, merge: job?.merge, checked, choice },
    creation.storage,
  );
  const { bucket, key, revision } = spec.reference;
  const record = newJobRecord(
    {
      id,
      tenant,
      requestHash,
      displayName: job?.displayName ?? '',
      // An earlier call may have decided otherwise.
      isEmulated: spec.choice ? spec.choice.method === 'emulator' : isEmulated,
      modelKind,
      options: toJson(TuneOptionsSchema, spec.options),
      merge: job?.merge ? toJson(MergeOptionsSchema, job.merge) : null,
      spec: { bucket, key, revision: Number(revision) },
    },
    spec.createTime,
  );
  return createOnce(record, requestId, creation);
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
    if (!isNatsError(error, 'RECORD_EXISTS')) throw error;
    const standing = await store.get(key);
    if (!standing) throw error;
    return sameRequest(standing, record.requestHash, requestId);
  }
}
