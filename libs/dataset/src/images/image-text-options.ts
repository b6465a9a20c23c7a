import type { DecodeOptions, Tiling } from '@emloc/images';

/** How the images of rows become tokens, for a model that takes images. */
export interface ImageTextOptions extends Tiling, DecodeOptions {
  readonly tokensPerTile: number;
  /**
   * Folder that paths of images start from, and that none may leave; null: the folder of the file
   * of rows, which they may.
   */
  readonly imageRoot: string | null;
  /**
   * Whether images, and the files that a list of data sets names, must lie within `imageRoot` or
   * the folder of the file of rows: for rows of somebody else.
   */
  readonly restrictToRoot: boolean;
  /** Whether images are fetched by http and https. */
  readonly allowRemoteImages: boolean;
  /** Name of the prompt's template in the model's config; null: the folder's own templates. */
  readonly template: string | null;
  /** What that template says where a row has no system turn; null: its own words. */
  readonly systemMessage: string | null;
}
