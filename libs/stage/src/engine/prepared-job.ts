import { prepareJob, requireMemory, type Job, type TuneOptions } from '@emloc/pipeline';
import type { MemoryPlan, PlanInputs } from '@emloc/pipeline/stages';

interface Prepared {
  readonly name: string;
  readonly options: TuneOptions;
  readonly job: Promise<Job>;
  memory: { readonly key: string; readonly plan: Promise<MemoryPlan> } | null;
}

/** The job that this thread worked on last: its next task is often another stage of the same. */
let prepared: Prepared | null = null;

/**
 * A job, checked and tokenised once for all its tasks on this thread; it stays open until another
 * job comes. One that goes on reading files of its data is prepared again where they lie elsewhere:
 * what was uploaded lies in a folder of each attempt.
 * @throws the typed errors of each part
 */
export async function preparedJob(name: string, options: TuneOptions): Promise<Job> {
  const before = prepared;
  if (before?.name === name && (await isOf(before, options))) return before.job;
  const job = prepareJob(options, { restrictImages: true });
  const own: Prepared = { name, options, job, memory: null };
  prepared = own;
  await before?.job.then(
    (held) => held.close(),
    () => undefined,
  );
  job.catch(() => {
    if (prepared === own) prepared = null;
  });
  return job;
}

async function isOf({ job, options: before }: Prepared, now: TuneOptions): Promise<boolean> {
  const isSamePlace =
    before.data === now.data &&
    before.moreData.join('\n') === now.moreData.join('\n') &&
    before.validation === now.validation &&
    before.classData === now.classData;
  return isSamePlace || !readsImages((await job).report);
}

/** Rows are read once; images of rows and pictures whenever they are needed. */
function readsImages(report: Job['report']): boolean {
  return report.kind === 'pictures' || report.train.images + report.validation.images > 0;
}

/** `requireMemory`, planned once for all tasks of the job that `preparedJob` gave. */
export function preparedMemory(inputs: PlanInputs): Promise<MemoryPlan> {
  if (!prepared) return requireMemory(inputs);
  const key = `${inputs.profile.name} ${inputs.budgetBytes}`;
  if (prepared.memory?.key !== key) prepared.memory = { key, plan: requireMemory(inputs) };
  return prepared.memory.plan;
}
