import { freemem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { elementCount, formatBytes } from '@emloc/device';

import { readAdapterIndex } from './adapter-index.js';
import { closeAll } from './checkpoint.js';
import { CheckpointError, quoted } from './errors.js';
import type { FileRange } from './file-hasher.js';
import { openFiles, openIndexed } from './open-checkpoint.js';
import { parseCopyName } from './peft-names.js';
import type { ReleasableSafetensorsFile, SafetensorsFile } from './safetensors-file.js';

/** The tensors of an adapter, which lie in one file or in several. */
export type AdapterWeights = Pick<
  SafetensorsFile,
  'path' | 'tensors' | 'metadata' | 'read' | 'readRange' | 'rangeOf'
>;

interface OpenAdapterOptions {
  /** Ends opening, and later reading, too. */
  readonly signal?: AbortSignal;
}

/**
 * Opens the weights of a folder of PEFT's layout: one file, or the shards and the index that
 * transformers writes of a large adapter.
 * @throws CheckpointError before any tensor is read, as `openCheckpoint`
 */
export async function openAdapterWeights(
  folder: string,
  options: OpenAdapterOptions = {},
): Promise<AdapterWeights & AsyncDisposable> {
  const index = await readAdapterIndex(folder, options);
  const path = join(folder, index.indexFile ?? index.files.join());
  const use = (files: Files) => bearable(new FileSet(path, files, options));
  return openIndexed(folder, index, { ...options, use });
}

/** Opens a file that has all of an adapter. @throws CheckpointError as `openSafetensors` */
export async function openAdapterFile(
  path: string,
  options: OpenAdapterOptions = {},
): Promise<AdapterWeights & AsyncDisposable> {
  return openFiles(dirname(path), [basename(path)], {
    use: (files) => bearable(new FileSet(path, files, options)),
  });
}

/** Values of a tensor that one array holds. */
const mostValues = 2 ** 30;

/** @throws CheckpointError for what is no adapter that this machine can hold in float32 */
function bearable<W extends AdapterWeights>(weights: W): W {
  const refusal = (reason: string) =>
    new CheckpointError('CHECKPOINT_ADAPTER_UNSUPPORTED', `${weights.path}: ${reason}`);
  let bytes = 0;
  for (const [name, { shape }] of weights.tensors) {
    // Copies are compared piece by piece.
    if (parseCopyName(name) !== null) continue;
    const values = elementCount(shape);
    if (values > mostValues)
      throw refusal(`${quoted(name)} has ${values} values, above the limit of ${mostValues}`);
    bytes += 4 * values;
  }
  const free = freemem();
  if (bytes > free)
    throw refusal(
      `its tensors take ${formatBytes(bytes)} in float32, ${formatBytes(free)} of memory are free`,
    );
  return weights;
}

type Files = ReadonlyMap<string, ReleasableSafetensorsFile>;

/** Files as one; the tensors of each are its own. */
class FileSet implements AdapterWeights, AsyncDisposable {
  readonly tensors;
  /** Of the first. */
  readonly metadata;
  readonly #fileOf;

  constructor(
    /** For messages about all of it. */
    readonly path: string,
    private readonly files: Files,
    private readonly options: OpenAdapterOptions,
  ) {
    const all = [...files.values()];
    this.metadata = all.at(0)?.metadata ?? {};
    this.tensors = new Map(all.flatMap(({ tensors }) => [...tensors]));
    this.#fileOf = new Map(
      all.flatMap((file) => [...file.tensors.keys()].map((name) => [name, file] as const)),
    );
  }

  async read(name: string, destination: Uint8Array): Promise<void> {
    this.options.signal?.throwIfAborted();
    await this.#file(name).read(name, destination);
  }

  async readRange(name: string, offset: number, destination: Uint8Array): Promise<void> {
    this.options.signal?.throwIfAborted();
    await this.#file(name).readRange(name, offset, destination);
  }

  rangeOf(name: string): FileRange {
    return this.#file(name).rangeOf(name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return closeAll(this.files);
  }

  #file(name: string): ReleasableSafetensorsFile {
    const file = this.#fileOf.get(name);
    if (file) return file;
    throw new CheckpointError(
      'CHECKPOINT_TENSOR_MISSING',
      `${this.path} has no tensor ${quoted(name)}`,
    );
  }
}
