import { clone, create, equals } from '@bufbuild/protobuf';
import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { JobSpecSchema, type JobSpec, type MergeOptions } from '@emloc/contracts';
import type { JobStorage } from '@emloc/job-storage';
import { isNatsError } from '@emloc/nats';
import { isMethodChoice, utcDay, type MethodChoice } from '@emloc/pipeline';

import { jsonOf } from './plan-job.js';
import { otherContents } from './request.js';
import type { CheckedOptions } from './tune-options.js';

interface NewSpec {
  readonly id: string;
  readonly tenant: string;
  readonly merge: MergeOptions | undefined;
  readonly checked: CheckedOptions;
  /** What a plan has decided of it. */
  readonly choice: MethodChoice | null;
}

/**
 * Writes the specification, or finds the one that an earlier call left; a job without a date has
 * that of the day on which this was done first.
 * @throws RpcError ALREADY_EXISTS when that one asked for something else
 */
export async function writeSpec(
  { id, tenant, merge, checked, choice }: NewSpec,
  storage: JobStorage,
) {
  const { message, data, moreData, validation, classData } = checked;
  const now = new Date();
  const wantedOn = (day: string): JobSpec =>
    create(JobSpecSchema, {
      job: `jobs/${id}`,
      tenant,
      options: { ...message, date: message.date ?? day },
      createTime: timestampFromDate(now),
      ...(merge ? { merge } : {}),
      ...(data ? { data } : {}),
      ...(moreData ? { moreData: [...moreData] } : {}),
      ...(validation ? { validation } : {}),
      ...(classData ? { classData } : {}),
      ...(choice ? { methodChoice: jsonOf(choice) } : {}),
    });
  const wanted = wantedOn(utcDay(now));
  const reference = await storage.writeSpec(wanted).catch((error: unknown) => {
    if (!isNatsError(error, 'RECORD_EXISTS')) throw error;
    return storage.writeSpec(wanted);
  });
  const written = await storage.readSpec(reference);
  const createTime = written.createTime ? timestampDate(written.createTime) : now;
  const expected = wantedOn(utcDay(createTime));
  if (!equals(JobSpecSchema, asAsked(written), asAsked(expected))) throw otherContents();
  return {
    ...{ reference, createTime, options: written.options ?? message },
    choice: isMethodChoice(written.methodChoice) ? written.methodChoice : null,
  };
}

/** Without the time, and without what a plan decides, which another plan may decide otherwise. */
function asAsked(spec: JobSpec): JobSpec {
  const { options, methodChoice, ...asked } = clone(JobSpecSchema, spec);
  if (!methodChoice || !options) return { ...asked, options, createTime: undefined };
  const { method: _method, levels: _levels, steps: _steps, epochs: _epochs, ...rest } = options;
  return { ...asked, options: { ...rest, ratios: [] }, createTime: undefined };
}
