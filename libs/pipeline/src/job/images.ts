import { get } from '@emloc/checked';
import type { EncodedRow } from '@emloc/dataset';
import { bytesPerElement, type HostDType } from '@emloc/device';
import { frontLength, frontStreams } from '@emloc/finetune';
import { imageStreams, type ImageLimits, type ModelLayout, type RowSource } from '@emloc/models';
import {
  blankTiles,
  ImageSet,
  patchRows,
  projectedRows,
  TextRows,
  type TextImages,
  type TextTables,
  type TileValues,
} from '@emloc/tasks';

/** The images of a job's rows. */
export interface JobImages {
  readonly limits: ImageLimits;
  readonly set: ImageSet;
  /** Whether images are turned as their EXIF data say. */
  readonly exifOrientation: boolean;
  /** null: batches bring the tiles' patches, and all of the model runs at every step. */
  readonly front: ImageFront | null;
}

/** First blocks of a model, which run once a tile: batches bring what they wrote. */
export interface ImageFront {
  readonly blocks: number;
  /** Pages of those blocks, the first of the model's. */
  readonly pages: number;
  /** Columns of what is written: (tokensPerTile, width) a tile. */
  readonly width: number;
}

/** How the images of rows are looked at. */
interface Sight {
  readonly layout: ModelLayout;
  /** Linears that are trained or emulated, by path. */
  readonly touched: ReadonlySet<string>;
  readonly exifOrientation: boolean;
}

/** null: the model takes none. */
export function imagesOf(
  rows: readonly EncodedRow[],
  { layout, touched, exifOrientation }: Sight,
): JobImages | null {
  if (!layout.images) return null;
  return {
    limits: layout.images,
    set: new ImageSet(rows),
    exifOrientation,
    front: imageFront(layout, (path) => touched.has(path)),
  };
}

/** Makes rows whose images bring nothing yet but their sizes. */
export function rowsWith(
  images: JobImages | null,
  tables: TextTables,
): (rows: readonly EncodedRow[]) => TextRows {
  const given: TextImages | null = images && {
    set: images.set,
    tiles: plannedTiles(images, 'float32'),
  };
  return (rows) => new TextRows(rows, given, tables);
}

/** What makes of a tile what texts take in, if nothing in it is trained or emulated. */
function imageFront(layout: ModelLayout, isTouched: (path: string) => boolean): ImageFront | null {
  const blocks = frontLength(layout, () => false);
  if (blocks === 0 || frontLength(layout, isTouched) < blocks) return null;
  return {
    blocks,
    pages: new Set(layout.blocks.slice(0, blocks).map(({ page }) => page)).size,
    width: get(frontStreams(layout, blocks), imageStreams.image).width,
  };
}

/** Tiles as a job's batches bring them, of which only the sizes matter. */
export function plannedTiles(
  { limits, front }: Pick<JobImages, 'limits' | 'front'>,
  dtype: HostDType,
): RowSource {
  return front
    ? frontedTiles(limits, front, blankTiles(frontBytes(limits, front, dtype), dtype))
    : patchRows(limits, blankTiles(4 * 3 * limits.tileSize ** 2, 'float32'));
}

/** Tiles as what the front made of them. */
export function frontedTiles(
  limits: ImageLimits,
  { width }: ImageFront,
  values: TileValues,
): RowSource {
  return projectedRows({ ...limits, width }, values);
}

/** Bytes of what the front makes of a tile. */
export function frontBytes(
  { tokensPerTile }: ImageLimits,
  { width }: ImageFront,
  dtype: HostDType,
): number {
  return tokensPerTile * width * bytesPerElement[dtype];
}
