import { DatasetError } from '../errors.js';
import { contextText, imageTokens } from './image-style.js';
import type { ImageTextOptions } from './image-text-options.js';

/** What a tokenizer has for images. */
export interface ImageTokens {
  /** Of `<IMG_CONTEXT>`. */
  readonly contextId: number;
  /** Context tokens of a tile. */
  readonly tokensPerTile: number;
}

/** @throws DatasetError DATASET_TOKENIZER_INVALID where one of the tokens is missing */
export function imageTokensOf(
  { tokensPerTile }: ImageTextOptions,
  {
    idOf,
    source,
  }: { readonly idOf: (token: string) => number | undefined; readonly source: string },
): ImageTokens {
  const required = (token: string): number => {
    const id = idOf(token);
    if (id !== undefined) return id;
    throw new DatasetError(
      'DATASET_TOKENIZER_INVALID',
      `${source}: there is no token ${token}, which a model that takes images needs`,
    );
  };
  for (const token of imageTokens) required(token);
  return { contextId: required(contextText), tokensPerTile };
}
