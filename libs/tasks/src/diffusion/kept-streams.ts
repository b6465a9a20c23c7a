import { at } from '@emloc/checked';
import { isFloat, toFloat32 } from '@emloc/checkpoint';
import type { HostArray } from '@emloc/device';

/** What a front, or an encoder, has made of its rows. */
export interface KeptStreams {
  /** (rows, width) of the stream that belongs to a row. */
  read(row: number, stream: string): Promise<HostArray>;
}

/**
 * Streams whose values nobody looks at: for planning.
 * @param elementsOf numbers that a row has of a stream
 */
export function blankStreams(
  elementsOf: (row: number, stream: string) => number,
  dtype: 'float32' | 'bfloat16',
): KeptStreams {
  const elementBytes = dtype === 'float32' ? 4 : 2;
  return {
    read: (row, stream) =>
      Promise.resolve({ bytes: new Uint8Array(elementsOf(row, stream) * elementBytes), dtype }),
  };
}

/** A stream of several rows, one after another. */
export async function readStreams(
  kept: KeptStreams,
  stream: string,
  rows: readonly number[],
): Promise<HostArray> {
  const parts: HostArray[] = [];
  for (const row of rows) parts.push(await kept.read(row, stream));
  return joined(parts);
}

/** @throws Error where the parts have several dtypes */
export function joined(parts: readonly HostArray[]): HostArray {
  const [first] = parts;
  if (!first) return { bytes: new Uint8Array(), dtype: 'float32' };
  const other = parts.find(({ dtype }) => dtype !== first.dtype);
  if (other) throw new Error(`a stream is ${first.dtype} in one row, ${other.dtype} in another`);
  return parts.length === 1
    ? first
    : { bytes: Buffer.concat(parts.map(({ bytes }) => bytes)), dtype: first.dtype };
}

/** @throws Error for integers */
export function widened({ bytes, dtype }: HostArray): Float32Array {
  if (!isFloat(dtype)) throw new Error(`a stream of activations is ${dtype}`);
  return toFloat32(bytes, dtype);
}

export function float32Array(parts: readonly Float32Array[]): HostArray {
  return joined(
    parts.map(({ buffer, byteOffset, byteLength }) => ({
      bytes: new Uint8Array(buffer, byteOffset, byteLength),
      dtype: 'float32',
    })),
  );
}

/** The members of a list at these places. */
export function membersAt<T>(list: readonly T[], places: readonly number[]): T[] {
  return places.map((place) => at(list, place));
}
