import type { AttentionCache, CacheSpec } from '@emloc/autograd';
import { at } from '@emloc/checked';
import {
  bytesPerElement,
  type CacheLayout,
  type Device,
  type DeviceProfile,
  type Tensor,
} from '@emloc/device';
import type { Block, ModelLayout } from '@emloc/models';

import { bytesOf } from '../paged-model.js';

/** A sequence that goes on: rows `start` to `start + capacity` of every cache are its own. */
export interface CachedSequence {
  readonly start: number;
  readonly capacity: number;
  /** Rows that the caches have of it. */
  length: number;
}

/** Rows of the caches by sequence, one after another. */
export function cachedSequences(capacities: readonly number[]): CachedSequence[] {
  let end = 0;
  return capacities.map((capacity) => {
    const start = end;
    end += capacity;
    return { start, capacity, length: 0 };
  });
}

/** Device bytes of keys and values of one row, in all attentions of a model. */
export function cacheRowBytes(
  { blocks }: ModelLayout,
  { computeDType }: Pick<DeviceProfile, 'computeDType'>,
): number {
  const written = blocks.flatMap(({ program }) => program.caches.filter((each) => each.isWritten));
  const widths = written.map(({ width }) => width);
  const elements = widths.reduce((sum, width) => sum + 2 * width, 0);
  return elements * bytesPerElement[computeDType];
}

/** Keys and values of an attention, or of all that share a cache. */
interface KeysAndValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Keys and values of all attentions of a model, for sequences that go on. */
export class KeyValueCache {
  /** By block, then by attention. */
  readonly #tensors: KeysAndValues[][] = [];
  /** Those that attentions share, by name. */
  readonly #shared = new Map<string, KeysAndValues>();
  readonly #owned: Tensor[] = [];

  /** @throws OutOfBudgetError */
  constructor(
    private readonly device: Device,
    { blocks }: ModelLayout,
    rows: number,
  ) {
    try {
      for (const { name, program } of blocks)
        this.#tensors.push(program.caches.map((spec) => this.#cache(spec, rows, name)));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** What a block is bound to: the caches of its attentions. */
  of({ index }: Block, { rows, layout }: Omit<AttentionCache, 'keys' | 'values'>) {
    const caches = at(this.#tensors, index);
    return (attention: number): AttentionCache => ({ ...at(caches, attention), rows, layout });
  }

  dispose(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #cache({ width, name }: CacheSpec, rows: number, block: string): KeysAndValues {
    const known = name === undefined ? undefined : this.#shared.get(name);
    const made = known ?? {
      keys: this.#allocate(rows, width, `keys of ${block}`),
      values: this.#allocate(rows, width, `values of ${block}`),
    };
    if (name !== undefined) this.#shared.set(name, made);
    return made;
  }

  #allocate(rows: number, width: number, label: string): Tensor {
    const { computeDType } = this.device.profile;
    const tensor = this.device.allocate([rows, width], computeDType, 'activations', label);
    this.#owned.push(tensor);
    return tensor;
  }
}

/** Where the rows of one run go in the caches. */
export class CachePlaces {
  readonly rows: Tensor;
  readonly layout: CacheLayout | null;
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
