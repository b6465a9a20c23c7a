import { get } from '@emloc/checked';
import type { Checkpoint } from '@emloc/checkpoint';

import { onModel, type Job } from '../job/job.js';
import {
  assertSameTensors,
  guardReads,
  TensorGuard,
  type TensorGuardOptions,
} from './tensor-guard.js';

/** The folder of the model that is trained; those of others lie beside it. */
const trained = '';

interface GuardedJob {
  readonly job: Job;
  /**
   * Compares those tensors, by the names that they are remembered under, which this run has not
   * read.
   * @throws PipelineError PIPELINE_RESUME_MISMATCH
   */
  checkRest(names: Iterable<string>): Promise<void>;
}

/**
 * The job with a check beside every read of any of its models. Tensors are remembered under their
 * names, those of models beside the one that is trained behind the folder's.
 */
export function guardJob(
  job: Job,
  { hasher, remember }: Pick<TensorGuardOptions, 'hasher' | 'remember'>,
): GuardedJob {
  const guards = new Map(
    [...checkpointsOf(job)].map(([folder, checkpoint]) => [
      folder,
      new TensorGuard({
        ...{ checkpoint, hasher, folder },
        remember: (tensor, hash) => remember(nameOf(folder, tensor), hash),
      }),
    ]),
  );
  const guarded: Parameters<Job['task']['guarded']>[0] = (model, folder) =>
    guardReads(model, (tensor) => get(guards, folder).check(tensor));
  return {
    job: { ...onModel(job, guarded(job.whole, trained)), task: job.task.guarded(guarded) },
    checkRest: async (names) => {
      const all = [...names];
      await Promise.all(
        [...guards].map(([folder, guard]) => guard.checkRest(tensorsIn(folder, all, guards))),
      );
    },
  };
}

/**
 * Hashes what was read before from some files.
 * @param files paths, resolved
 * @param known hashes by the names that they are remembered under
 * @throws PipelineError PIPELINE_RESUME_MISMATCH
 */
export async function assertSameWeights(
  job: Job,
  {
    files,
    hasher,
    known,
  }: Pick<TensorGuardOptions, 'hasher'> & {
    readonly files: ReadonlySet<string>;
    readonly known: ReadonlyMap<string, string>;
  },
): Promise<void> {
  const checkpoints = checkpointsOf(job);
  for (const [folder, checkpoint] of checkpoints) {
    const tensors = tensorsIn(folder, [...known.keys()], checkpoints);
    const own = new Map(tensors.map((name) => [name, get(known, nameOf(folder, name))]));
    await assertSameTensors(files, { checkpoint, hasher, folder, known: own });
  }
}

/** @throws CheckpointError where a file of any model was changed since it was opened */
export async function assertUnchanged(job: Job): Promise<void> {
  for (const checkpoint of checkpointsOf(job).values()) await checkpoint.assertUnchanged();
}

function checkpointsOf({ whole, task }: Job): ReadonlyMap<string, Checkpoint> {
  return new Map([[trained, whole.checkpoint], ...task.checkpoints]);
}

function nameOf(folder: string, tensor: string): string {
  return folder === trained ? tensor : `${folder}/${tensor}`;
}

/** Of remembered names those of a folder, without it. */
function tensorsIn(
  folder: string,
  names: readonly string[],
  folders: ReadonlyMap<string, unknown>,
): readonly string[] {
  const others = [...folders.keys()].filter((name) => name !== trained);
  return names.flatMap((name) => {
    const own = others.find((other) => name.startsWith(`${other}/`)) ?? trained;
    if (own !== folder) return [];
    return [own === trained ? name : name.slice(own.length + 1)];
  });
}
