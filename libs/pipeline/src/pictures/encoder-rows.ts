import { at } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import type { ImageReader } from '@emloc/images';
import {
  imageBatch,
  pooledBatch,
  promptBatch,
  type Batch,
  type BatchShape,
  type RowSource,
} from '@emloc/models';

import type { PictureSet } from './picture-set.js';

/** Rows that an encoder is given one at a time. */
class SingleRows implements RowSource {
  constructor(
    private readonly parts: {
      shape(row: number): BatchShape;
      load(row: number): Batch | Promise<Batch>;
    },
  ) {}

  shape(rows: readonly number[]): BatchShape {
    return this.parts.shape(only(rows));
  }

  async load(rows: readonly number[]): Promise<Batch> {
    return await this.parts.load(only(rows));
  }
}

function only(rows: readonly number[]): number {
  if (rows.length !== 1) throw new RangeError(`${rows.length} rows, encoders are given one`);
  return at(rows, 0);
}

/** Captions, by their numbers, for CLIP. */
export function pooledRows({ captions, limits }: PictureSet): RowSource {
  const load = (row: number): Batch => pooledBatch(limits, at(captions, row).pooledIds);
  return new SingleRows({ load, shape: (row) => load(row).shape });
}

/** Captions, by their numbers, for T5. */
export function promptRows({ captions, limits }: PictureSet): RowSource {
  const load = (row: number): Batch => promptBatch(limits, at(captions, row).promptIds);
  return new SingleRows({ load, shape: (row) => load(row).shape });
}

/**
 * Pictures, by their numbers, for the image encoder.
 * @param reader null: where no pixel is needed
 */
export function pixelRows(
  { rows, limits }: PictureSet,
  { reader, signal }: { readonly reader: ImageReader | null; readonly signal?: AbortSignal },
): RowSource {
  const batch = (row: number, pixels: HostArray): Batch =>
    imageBatch(limits, at(rows, row).plan, pixels);
  return new SingleRows({
    shape: (row) => batch(row, { bytes: new Uint8Array(), dtype: 'float32' }).shape,
    load: async (row) => {
      const { image: path, name, plan } = at(rows, row);
      const pixels = reader
        ? await reader.pixels({ kind: 'file', path, label: name }, plan, signal)
        : new Float32Array(plan.width * plan.height * 3);
      const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
      return batch(row, { bytes, dtype: 'float32' });
    },
  });
}
