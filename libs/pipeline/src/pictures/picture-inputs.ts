import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { findOutputFile } from '@emloc/checkpoint';
import type { ImageSize } from '@emloc/images';
import type { DiffusionLimits } from '@emloc/models';

import { asOutputError } from '../disk/output-folder.js';
import { invalidOption, parseSize } from '../options/checks.js';
import type { GenerateOptions } from '../options/resolve.js';
import { optionTable } from '../options/table.js';
import type { PictureRequest } from './picture-request.js';

type Request = Pick<
  GenerateOptions,
  'size' | 'inferenceSteps' | 'guidance' | 'negativePrompt' | 'cfgScale' | 'seed'
>;

/** Steps of models that are told a guidance scale, and of those that make pictures in few. */
const usualSteps = { guided: 28, unguided: 4 };
/** Longest side in pixels. */
const mostSide = 4096;

/**
 * The request that options make, of caption 0 and of caption 1 where there is a negative prompt.
 * @throws PipelineError PIPELINE_INVALID_OPTION for options that mean nothing together or to the
 * model
 */
export function requestOf(
  options: Request,
  { hasGuidance }: Pick<DiffusionLimits, 'hasGuidance'>,
): PictureRequest {
  const { inferenceSteps, guidance, negativePrompt, cfgScale, seed } = options;
  const isNegated = negativePrompt !== null;
  if (!hasGuidance && guidance !== optionTable.guidance.default)
    throw invalidOption('guidance', guidance, 'nothing, since this model takes no guidance scale,');
  if (!isNegated && cfgScale !== optionTable.cfgScale.default)
    throw invalidOption('cfgScale', cfgScale, 'a negative prompt beside it');
  return {
    captions: { positive: 0, negative: isNegated ? 1 : null },
    size: sizeOf(options.size),
    steps: inferenceSteps ?? (hasGuidance ? usualSteps.guided : usualSteps.unguided),
    guidance: hasGuidance ? guidance : null,
    negativeScale: isNegated ? cfgScale : null,
    seed,
  };
}

function sizeOf(given: string | null): ImageSize {
  const size = parseSize(given ?? '1024x1024');
  if (Math.max(size.width, size.height) <= mostSide) return size;
  throw invalidOption('size', given, `sides of at most ${mostSide} pixels`);
}

/**
 * Where a picture is written: where there is a link to a file, that file.
 * @throws PipelineError PIPELINE_INVALID_OPTION where no PNG file can be there,
 * PIPELINE_OUTPUT_EXISTS, PIPELINE_OUTPUT_UNWRITABLE
 */
export async function pictureFile(given: string | null): Promise<string> {
  const path = resolve(given ?? 'image.png');
  if (!/\.png$/i.test(path)) throw invalidOption('imageOut', given, 'the name of a PNG file');
  const isFolder = (at: string): Promise<boolean> =>
    stat(at).then(
      (facts) => facts.isDirectory(),
      () => false,
    );
  if (await isFolder(path)) throw invalidOption('imageOut', given, 'a file, not a folder,');
  if (!(await isFolder(dirname(path))))
    throw invalidOption('imageOut', given, 'a file in a folder that is there');
  return findOutputFile(path).catch((error: unknown) => Promise.reject(asOutputError(error)));
}
