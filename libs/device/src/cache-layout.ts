import type { Tensor } from './tensor.js';

/**
 * Where the keys and values of sequences lie in a cache: rows `starts[i]` to `starts[i] +
 * lengths[i]` are those of sequence i.
 */
export interface CacheLayout {
  /** On the host, one a sequence. */
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  /** The same numbers on the device, int32 (S) each. */
  readonly deviceStarts: Tensor;
  readonly deviceLengths: Tensor;
}
