import { at } from '@emloc/checked';
import type { Grid, HostArray } from '@emloc/device';

/** A stream of activations that a batch brings. */
export interface ValueShape {
  /** Name of its row layout. */
  readonly rows: string;
  readonly width: number;
  /** On the device; absent: what it computes in. */
  readonly dtype?: 'float32';
}

/** The sizes of a batch, without what is in it: memory depends on nothing else. */
export interface BatchShape {
  /** By row layout: cumulative lengths of its sequences, first 0; no padding but `padded`. */
  readonly layouts: ReadonlyMap<string, readonly number[]>;
  /** By row layout whose rows are pixels: the image that each of its sequences is. */
  readonly grids?: ReadonlyMap<string, readonly Grid[]>;
  /** By stream of integers: how many there are. */
  readonly integers: ReadonlyMap<string, number>;
  /** By stream of activations. */
  readonly values: ReadonlyMap<string, ValueShape>;
  /** By rotary table that the batch brings: its rows, and half the elements that rotate. */
  readonly ropes?: ReadonlyMap<string, ValueShape>;
  /**
   * Of a batch of texts whose last sequence is padding, in positions of 0: launches are made for
   * this longest sequence, and otherwise depend on no sequence's length.
   */
  readonly padded?: { readonly longest: number };
  /** Σ of the weights of its losses: what the mean loss of a step is divided by. */
  readonly lossWeight: number;
  /** What throughput counts: tokens of a text. */
  readonly items: number;
}

/** A rotary table of a batch, an entry a row: (rows, width), row-major. */
export interface RowAngles {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** What a batch brings to the streams of a model's chain. */
export interface Batch {
  readonly shape: BatchShape;
  /** By stream; such streams carry no gradient. */
  readonly integers: ReadonlyMap<string, Int32Array>;
  /** By stream, (rows, width); they carry no gradient either. */
  readonly values: ReadonlyMap<string, HostArray>;
  /** By rotary table: where positions have more than one axis. */
  readonly ropes?: ReadonlyMap<string, RowAngles>;
}

/** Rows of a data set as batches, made when their turn comes. */
export interface RowSource {
  /** The sizes of a batch of these rows, in this order. */
  shape(rows: readonly number[]): BatchShape;
  /**
   * @param isWanted the streams of activations that are read; the batch may be without the others.
   * Default: all
   */
  load(rows: readonly number[], isWanted?: (stream: string) => boolean): Promise<Batch>;
}

/** Batches of a source, each as the numbers of its rows. */
export interface Batches {
  readonly source: RowSource;
  readonly rows: readonly (readonly number[])[];
}

/** The length of the longest sequence between cumulative offsets. */
export function longestSequence(offsets: readonly number[]): number {
  let longest = 0;
  for (let i = 1; i < offsets.length; i += 1)
    longest = Math.max(longest, at(offsets, i) - at(offsets, i - 1));
  return longest;
}
