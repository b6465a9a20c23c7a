import { clone, create, equals } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { JobSpecSchema, type JobSpec, type MergeOptions } from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { isNatsError } from '@emloc/nats';
import { utcDay } from '@emloc/pipeline';

import { otherContents } from './request.js';
import type { CheckedOptions } from './tune-options.js';

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
export async function writeSpec({ id, tenant, merge, checked }: NewSpec, storage: JobStorage) {
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
    if (!isNatsError(error, 'RECORD_EXISTS')) throw error;
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
