import type { AttentionCache, CacheSpec, StateCache } from '@emloc/autograd';
import { at } from '@emloc/checked';
import {
  bytesPerElement,
  type CacheLayout,
  type Device,
  type DeviceProfile,
  type DType,
  type Tensor,
} from '@emloc/device';
import type { Block, ModelLayout } from '@emloc/models';

import { bytesOf } from '../paged-model.js';

/** A sequence that goes on: rows `start` to `start + capacity` of every cache are its own. */
export interface CachedSequence {
  /** Its number, and the place of its states. */
  readonly place: number;
  readonly start: number;
  readonly capacity: number;
  /** Rows that the caches have of it. */
  length: number;
}

/** Rows of the caches by sequence, one after another. */
export function cachedSequences(capacities: readonly number[]): CachedSequence[] {
  let end = 0;
  return capacities.map((capacity, place) => {
    const start = end;
    end += capacity;
    return { place, start, capacity, length: 0 };
  });
}

/** Device bytes of keys, values and states of one sequence of so many rows, in a whole model. */
export function cacheBytes(
  { blocks }: ModelLayout,
  { computeDType }: Pick<DeviceProfile, 'computeDType'>,
  rows: number,
): number {
  const programs = blocks.map(({ program }) => program);
  const rowBytes = programs
    .flatMap(({ caches }) => caches.filter(({ isWritten }) => isWritten))
    .reduce((sum, { width }) => sum + 2 * width * bytesPerElement[computeDType], 0);
  return programs
    .flatMap(({ states }) => states)
    .map(({ width, dtype }) => width * bytesPerElement[dtype === 'compute' ? computeDType : dtype])
    .reduce((sum, bytes) => sum + bytes, rows * rowBytes);
}

/** Keys and values of an attention, or of all that share a cache. */
interface KeysAndValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Keys and values of all attentions of a model, and all states, for sequences that go on. */
export class SequenceCache {
  /** By block, then by attention. */
  readonly #rows: KeysAndValues[][] = [];
  /** Those that attentions share, by name. */
  readonly #shared = new Map<string, KeysAndValues>();
  /** By block, then by operation with a state. */
  readonly #states: Tensor[][] = [];
  readonly #owned: Tensor[] = [];

  /** @throws OutOfBudgetError */
  constructor(
    private readonly device: Device,
    { blocks }: ModelLayout,
    { rows, sequences }: { readonly rows: number; readonly sequences: number },
  ) {
    const { computeDType } = device.profile;
    try {
      for (const { name, program } of blocks) {
        this.#rows.push(program.caches.map((spec) => this.#cache(spec, rows, name)));
        this.#states.push(
          program.states.map(({ width, dtype }) => {
            const stored = dtype === 'compute' ? computeDType : dtype;
            return this.#allocate([sequences, width], stored, `states of ${name}`);
          }),
        );
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** What a block is bound to: the caches of its attentions, and its states. */
  of({ index }: Block, { rows, layout, places }: CachePlaces) {
    const [caches, states] = [at(this.#rows, index), at(this.#states, index)];
    return {
      cache: (attention: number): AttentionCache => ({ ...at(caches, attention), rows, layout }),
      state: (operation: number): StateCache => ({
        ...{ values: at(states, operation), places, goesOn: layout !== null },
      }),
    };
  }

  dispose(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #cache({ width, name }: CacheSpec, rows: number, block: string): KeysAndValues {
    const { computeDType } = this.device.profile;
    const known = name === undefined ? undefined : this.#shared.get(name);
    const made = known ?? {
      keys: this.#allocate([rows, width], computeDType, `keys of ${block}`),
      values: this.#allocate([rows, width], computeDType, `values of ${block}`),
    };
    if (name !== undefined) this.#shared.set(name, made);
    return made;
  }

  #allocate(shape: readonly number[], dtype: DType, label: string): Tensor {
    const tensor = this.device.allocate(shape, dtype, 'activations', label);
    this.#owned.push(tensor);
    return tensor;
  }
}

/** Where the rows of one run go in the caches. */
export class CachePlaces {
  readonly rows: Tensor;
  readonly layout: CacheLayout | null;
  /** int32, one a sequence: where its states are. */
  readonly places: Tensor;
  readonly #owned: Tensor[] = [];

  /**
   * @param lengths rows of each sequence in the run, which are appended to it; null: one row each,
   * which attends to what is there
   */
  constructor(
    private readonly device: Device,
    sequences: readonly CachedSequence[],
    lengths: readonly number[] | null,
  ) {
    try {
      this.rows = this.#integers(
        sequences.flatMap(({ start, length }, index) =>
          Array.from({ length: lengths ? at(lengths, index) : 1 }, (_, i) => start + length + i),
        ),
      );
      this.places = this.#integers(sequences.map(({ place }) => place));
      this.layout = lengths ? null : this.#layout(sequences);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  dispose(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #layout(sequences: readonly CachedSequence[]): CacheLayout {
    const starts = sequences.map(({ start }) => start);
    const lengths = sequences.map(({ length }) => length + 1);
    const [deviceStarts, deviceLengths] = [this.#integers(starts), this.#integers(lengths)];
    return { starts, lengths, deviceStarts, deviceLengths };
  }

  #integers(numbers: readonly number[]): Tensor {
    const source = { bytes: bytesOf(Int32Array.from(numbers)), dtype: 'int32' } as const;
    const shape = [numbers.length];
    const tensor = this.device.tensor(source, shape, 'int32', 'activations', 'cache places');
    this.#owned.push(tensor);
    return tensor;
  }
}
