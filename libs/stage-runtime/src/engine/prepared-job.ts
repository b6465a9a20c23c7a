import { prepareJob, requireMemory, type Job, type TuneOptions } from '@emloc/pipeline';
import type { MemoryPlan, PlanInputs } from '@emloc/pipeline/stages';

interface Prepared {
  readonly name: string;
  readonly job: Promise<Job>;
  memory: { readonly key: string; readonly plan: Promise<MemoryPlan> } | null;
}

/** The job that this thread worked on last: its next task is often another stage of the same. */
let prepared: Prepared | null = null;

/**
 * A job, checked and tokenised once for all its tasks on this thread; it stays open until another
 * job comes.
 * @throws the typed errors of each part
 */
export async function preparedJob(name: string, options: TuneOptions): Promise<Job> {
  if (prepared?.name === name) return prepared.job;
  const before = prepared;
  const job = prepareJob(options, { restrictImages: true });
  const own: Prepared = { name, job, memory: null };
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

/** `requireMemory`, planned once for all tasks of the job that `preparedJob` gave. */
export function preparedMemory(inputs: PlanInputs): Promise<MemoryPlan> {
  if (!prepared) return requireMemory(inputs);
  const key = `${inputs.profile.name} ${inputs.budgetBytes}`;
  if (prepared.memory?.key !== key) prepared.memory = { key, plan: requireMemory(inputs) };
  return prepared.memory.plan;
}
