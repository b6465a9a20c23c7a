import type { TextLimits } from '@emloc/models';

import { PipelineError } from '../errors.js';

/** Tokens that rows are cut to where nothing is said and the model has as many positions. */
const usualMaxLength = 1024;

/**
 * Tokens that the rows of a job are cut to.
 * @param given null: not said
 * @throws PipelineError PIPELINE_INVALID_OPTION for more than the model has positions
 */
export function maxLengthOf(given: number | null, { maxPositions }: TextLimits): number {
  if (given !== null && given > maxPositions) {
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option maxLength: ${given} given, the model has ${maxPositions} positions`,
    );
  }
  return given ?? Math.min(usualMaxLength, maxPositions);
}

/** Tokens that rows are cut to where they are only looked at or scored: what the model can read. */
export function readableLength(given: number | null, limits: TextLimits): number {
  return maxLengthOf(given === null ? null : Math.min(given, limits.maxPositions), limits);
}
