import { at } from '@emloc/checked';

import { RowError } from '../errors.js';
import { contextText } from '../images/image-style.js';
import type { ImageTokens } from '../images/image-tokens.js';
import type { MeasuredImage } from '../images/measure-images.js';
import { replaceMarks } from '../images/replace-marks.js';
import type { EncodedText, MaskedText } from './encoded-text.js';
import type { TokenMask } from './token-mask.js';

/**
 * Each context token becomes as many as its image has, none of them trained on.
 * @param measured all images of the row
 * @throws RowError where context tokens are not those of the images that are shown
 */
export function expandImages(
  masked: MaskedText,
  { contextId, tokensPerTile }: ImageTokens,
  measured: readonly MeasuredImage[],
): EncodedText {
  const contexts = masked.ids.reduce((sum, id) => sum + (id === contextId ? 1 : 0), 0);
  if (contexts !== masked.imageCount)
    throw new RowError(
      null,
      `becomes a text with ${contexts} ${contextText}, which stands for an image, for ${masked.imageCount} images`,
    );
  if (contexts === 0) return { ...masked, images: [] };
  const shown = measured.slice(0, contexts);
  const counts = shown.map(({ tiles }) => tiles * tokensPerTile);
  const { ids, trained, starts } = expand(masked, contextId, counts);
  const { text, moved } = replaceMarks(
    masked.text,
    contextText,
    (index) => `${contextText} × ${at(counts, index)}`,
  );
  return {
    ...masked,
    ids,
    trained,
    text,
    ranges: masked.ranges.map(({ start, end }) => ({ start: moved(start), end: moved(end) })),
    images: shown.map(({ input, width, height, tiles, maxTiles }, index) => ({
      input,
      width,
      height,
      tiles,
      maxTiles,
      contextStart: at(starts, index),
      contextTokens: at(counts, index),
    })),
  };
}

function expand(
  { ids, trained }: TokenMask,
  contextId: number,
  counts: readonly number[],
): TokenMask & { readonly starts: readonly number[] } {
  const length = counts.reduce((sum, count) => sum + count - 1, ids.length);
  const expanded = { ids: new Int32Array(length), trained: new Uint8Array(length) };
  const starts: number[] = [];
  let place = 0;
  ids.forEach((id, index) => {
    if (id !== contextId) {
      expanded.ids[place] = id;
      expanded.trained[place] = at(trained, index);
      place += 1;
      return;
    }
    const count = at(counts, starts.length);
    starts.push(place);
    expanded.ids.fill(contextId, place, place + count);
    place += count;
  });
  return { ...expanded, starts };
}
