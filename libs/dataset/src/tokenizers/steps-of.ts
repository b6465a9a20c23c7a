import type { JsonPart } from './json.js';

/** Steps of pre-tokenizers, decoders and post-processors: real ones have up to eight. */
const mostSteps = 100;
/** Those that replace characters one by one may need many. */
export const mostNormalizers = 1000;

/**
 * What a definition does one after the other: the steps of a `Sequence` and of those in it, or the
 * definition itself.
 * @param key what the list of a `Sequence` is called
 * @throws TokenizerError where there are more than `most`
 */
export function stepsOf(part: JsonPart, key: string, most = mostSteps): readonly JsonPart[] {
  const steps: JsonPart[] = [];
  const add = (step: JsonPart): void => {
    if (step.get('type').value === 'Sequence') step.get(key).items.forEach(add);
    else steps.push(step);
    if (steps.length > most) part.fail(`has more than ${most} steps`);
  };
  add(part);
  return steps;
}
