import { join, resolve } from 'node:path';
import { allDone, at, firstError } from '@emloc/checked';
import type { Checkpoint, FileHasher } from '@emloc/checkpoint';
import type { Model } from '@emloc/models';

import { PipelineError } from '../errors.js';

export interface TensorGuardOptions {
  readonly checkpoint: Pick<Checkpoint, 'tensors' | 'rangeOf'>;
  readonly hasher: Pick<FileHasher, 'hash'>;
  /** Of the checkpoint within the model's, for people; default: it is the model's. */
  readonly folder?: string;
  /**
   * The hash of a tensor that was read first of all runs of the job; where none was, keeps this
   * one, before anything that comes of the tensor can be kept.
   */
  remember(tensor: string, hash: string): Promise<string>;
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

  /** Checks those of the tensors that this run has not read. */
  async checkRest(tensors: Iterable<string>): Promise<void> {
    await Promise.all([...tensors].map((tensor) => this.check(tensor)));
  }

  async #check(tensor: string): Promise<void> {
    const { checkpoint, hasher } = this.options;
    const hash = await hasher.hash(checkpoint.rangeOf(tensor));
    if ((await this.options.remember(tensor, hash)) !== hash)
      throw otherTensor(tensor, this.options);
  }
}

/**
 * Compares the tensors of some files with what earlier runs have read, before anything else is
 * done.
 * @param files paths, resolved
 * @throws PipelineError PIPELINE_RESUME_MISMATCH
 */
export async function assertSameTensors(
  files: ReadonlySet<string>,
  {
    known,
    ...options
  }: Omit<TensorGuardOptions, 'remember'> & { readonly known: ReadonlyMap<string, string> },
): Promise<void> {
  const { checkpoint, hasher } = options;
  await Promise.all(
    [...known].map(async ([tensor, before]) => {
      if (!checkpoint.tensors.has(tensor)) return;
      const range = checkpoint.rangeOf(tensor);
      if (!files.has(resolve(range.path))) return;
      if ((await hasher.hash(range)) !== before) throw otherTensor(tensor, options);
    }),
  );
}

/** The model, with a check beside every read of a tensor. A read ends when both have. */
export function guardReads(model: Model, check: (tensor: string) => Promise<void>): Model {
  const { layout, source, tables } = model;
  const names = layout.pages.map(
    ({ tensors }) => new Map(tensors.map(({ name, checkpointName }) => [name, checkpointName])),
  );
  const guarded = async <T>(read: Promise<T>, name: string | undefined): Promise<T> => {
    const checking = name === undefined ? Promise.resolve() : check(name);
    await allDone<unknown>([read, checking]);
    return await read;
  };
  return {
    ...model,
    source: {
      layers: source.layers,
      read: (layer, tensor, destination) =>
        guarded(source.read(layer, tensor, destination), at(names, layer).get(tensor)),
    },
    tables: {
      read: (table, entries) => guarded(tables.read(table, entries), table.checkpointName),
    },
  };
}

function otherTensor(
  tensor: string,
  { checkpoint: { tensors }, folder = '' }: Pick<TensorGuardOptions, 'checkpoint' | 'folder'>,
): PipelineError {
  const file = join(folder, tensors.get(tensor)?.file ?? 'the model');
  return new PipelineError(
    'PIPELINE_RESUME_MISMATCH',
    `tensor ${tensor} in ${file} has other values than when the job read it before: what is done so far belongs to another model`,
  );
}

/** Why a read failed or a job cannot go on, if it was that the model or the data is another one. */
export function inputMismatchIn(thrown: unknown): PipelineError | null {
  const error = firstError(thrown);
  if (error instanceof PipelineError && error.code === 'PIPELINE_RESUME_MISMATCH') return error;
  return error instanceof Error ? inputMismatchIn(error.cause) : null;
}
