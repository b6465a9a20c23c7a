import type { Tensor } from './tensor.js';

/** An image whose pixels are rows, one row of the image after another. */
export interface Grid {
  readonly height: number;
  readonly width: number;
}

/**
 * Sequences packed one after another without padding: rows `offsets[i]` to `offsets[i + 1]` of
 * every activation belong to sequence i. Padding is a sequence of its own.
 */
export interface SequenceLayout {
  /** Cumulative lengths on the host, first 0, last the number of rows N; length S + 1. */
  readonly offsets: readonly number[];
  /** The same numbers on the device, int32 (S + 1). */
  readonly deviceOffsets: Tensor;
  /** Position of every row in its sequence, int32 (N). */
  readonly positions: Tensor;
  /** The longest sequence in rows, or more. */
  readonly maxLength: number;
  /**
   * Whether launches are to depend on nothing but the numbers of rows and sequences and
   * `maxLength`, so that they serve other sequences as well. Default: no.
   */
  readonly isReplaceable?: boolean;
  /** The image that each sequence is, where rows are pixels. */
  readonly grids?: readonly Grid[];
}
