import { readPictures, type Pictures } from '@emloc/dataset';

import { assertOptionsOf, resolutionOf } from '../options/modality.js';
import type { OptionsOf } from '../options/table.js';

type Sizes = Pick<
  OptionsOf<'data'>,
  'data' | 'instancePrompt' | 'resolution' | 'crop' | 'flip' | 'buckets' | 'seed'
>;

/**
 * A folder of pictures as options say that it is cut, without any of a class.
 * @param recorded resolution of an adapter; null: none
 * @throws DatasetError with everything that is wrong with them
 */
export function picturesOf(
  { data, instancePrompt, resolution, crop, flip, buckets, seed }: Sizes,
  { recorded = null, signal }: { readonly recorded?: number | null; readonly signal?: AbortSignal },
): Promise<Pictures> {
  return readPictures(
    {
      instance: { path: data, prompt: instancePrompt },
      classes: null,
      resolution: resolutionOf(resolution, recorded),
      ...{ crop, flip, buckets, seed, exifOrientation: true, restrictToRoot: false },
    },
    signal,
  );
}

/**
 * What becomes of each picture of a folder, as a job with these options would train on it; needs no
 * device and no weights.
 * @throws PipelineError PIPELINE_INVALID_OPTION; DatasetError
 */
export function previewPictures(
  options: OptionsOf<'data'>,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Pictures> {
  assertOptionsOf('data', options, 'pictures');
  return picturesOf(options, { signal });
}
