import type { TextLimits } from '@emloc/models';

import { PipelineError } from '../errors.js';

/**
 * Tokens that the rows of a job are cut to.
 * @param given null: not said
 * @param usual where nothing is said and the model has as many positions
 * @throws PipelineError PIPELINE_INVALID_OPTION for more than the model has positions
 */
export function maxLengthOf(
  given: number | null,
  { maxPositions }: TextLimits,
  usual: number,
): number {
  if (given !== null && given > maxPositions) {
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option maxLength: ${given} given, the model has ${maxPositions} positions`,
    );
  }
  return given ?? Math.min(usual, maxPositions);
}
