import type { Checkpoint, FileHasher } from '@emloc/checkpoint';
import type { Model } from '@emloc/models';

import { PipelineError } from '../errors.js';
import type { HashLog } from './hash-log.js';

export interface TensorGuardOptions {
  readonly checkpoint: Pick<Checkpoint, 'tensors' | 'rangeOf'>;
  readonly hasher: Pick<FileHasher, 'hash'>;
  /** Hashes that earlier runs of the job have seen, by tensor. */
  readonly known: ReadonlyMap<string, string>;
  /** Where hashes go that are seen for the first time. */
  readonly log: Pick<HashLog, 'add'>;
}

/**
 * Sees to it that all runs of a job read the same weights: remembers the hash of every tensor that
 * is read, and compares it when a later run reads it for the first time.
 */
export class TensorGuard {
  readonly #checks = new Map<string, Promise<void>>();

  constructor(private readonly options: TensorGuardOptions) {}

  /**
   * To be called with every read of a tensor; hashes only at the first.
   * @throws PipelineError PIPELINE_RESUME_MISMATCH
   */
  check(tensor: string): Promise<void> {
    let checking = this.#checks.get(tensor);
    if (!checking) {
      checking = this.#check(tensor);
      this.#checks.set(tensor, checking);
    }
    return checking;
  }

  /** Checks all that earlier runs have read and this one has not. */
  async checkRest(): Promise<void> {
    await Promise.all([...this.options.known.keys()].map((tensor) => this.check(tensor)));
  }

  async #check(tensor: string): Promise<void> {
    const { checkpoint, hasher, known, log } = this.options;
    const hash = await hasher.hash(checkpoint.rangeOf(tensor));
    const before = known.get(tensor);
    if (before === undefined) await log.add(tensor, hash);
    else if (before !== hash) throw otherTensor(tensor, checkpoint);
  }
}

/**
 * Compares the tensors of some files with what earlier runs have read, before anything else is
 * done.
 * @param files names in the checkpoint's folder
 * @throws PipelineError PIPELINE_RESUME_MISMATCH
 */
export async function assertSameTensors(
  files: ReadonlySet<string>,
  { checkpoint, hasher, known }: Omit<TensorGuardOptions, 'log'>,
): Promise<void> {
  await Promise.all(
    [...known].map(async ([tensor, before]) => {
      const file = checkpoint.tensors.get(tensor)?.file;
      if (file === undefined || !files.has(file)) return;
      if ((await hasher.hash(checkpoint.rangeOf(tensor))) !== before)
        throw otherTensor(tensor, checkpoint);
    }),
  );
}

/** The model, with a check beside every read of a tensor. A read ends when both have. */
export function guardReads(model: Model, check: (tensor: string) => Promise<void>): Model {
  const { layout, source } = model;
  const names = layout.units.map(
    ({ tensors }) => new Map(tensors.map(({ name, checkpointName }) => [name, checkpointName])),
  );
  return {
    ...model,
    source: {
      layers: source.layers,
      read: async (layer, tensor, destination) => {
        const name = names[layer]?.get(tensor);
        const ends = await Promise.allSettled([
          source.read(layer, tensor, destination),
          name === undefined ? undefined : check(name),
        ]);
        const failed = ends.find((end) => end.status === 'rejected');
        if (failed) throw failed.reason;
      },
    },
  };
}

function otherTensor(tensor: string, { tensors }: Pick<Checkpoint, 'tensors'>): PipelineError {
  const file = tensors.get(tensor)?.file ?? 'the model';
  return new PipelineError(
    'PIPELINE_RESUME_MISMATCH',
    `tensor ${tensor} in ${file} has other values than when the job read it before: the progress beside the output belongs to another model`,
  );
}
