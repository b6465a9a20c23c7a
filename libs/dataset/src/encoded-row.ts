import type { ImageInput, ImageSize } from '@emloc/images';

/** One image of a row, measured but not decoded. */
export interface RowImage extends ImageSize {
  /** `label` is file and row, and what the row calls the image: for the owner of the rows. */
  readonly input: ImageInput & { readonly label: string };
  /** What it is cut into, the thumbnail included. */
  readonly tiles: number;
  /** How many tiles it may have, the thumbnail apart: fewer where a row has several images. */
  readonly maxTiles: number;
  /** Index in `ids` of its first context token. */
  readonly contextStart: number;
  /** Its context tokens, one after the other: tiles · tokensPerTile. */
  readonly contextTokens: number;
}

/** One row of a data set as the model sees it. */
export interface EncodedRow {
  readonly ids: Int32Array;
  /**
   * As long as `ids`: 1 where the token is a training target. Never 1 for the first token, which
   * nothing predicts.
   */
  readonly trained: Uint8Array;
  /** 1-based line of the file, or element of its array; 0 for a row that comes from none. */
  readonly line: number;
  /** 1-based, of several files that are one data set; absent where there is one. */
  readonly file?: number;
  /** 1-based data set of the file's list; absent where the file is one of rows. */
  readonly set?: number;
  /** 1-based, where a row of the file became several. */
  readonly part?: number;
  /** Whether tokens behind the maximum length were cut off. */
  readonly isCut?: boolean;
  /** In the order of their context tokens; absent where there are none. */
  readonly images?: readonly RowImage[];
}
