import { PipelineError } from '../errors.js';

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertInteger(name: string, value: unknown, least: number): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return;
  throw invalidOption(name, value, `a whole number of at least ${least}`);
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw invalidOption(name, value, 'a text');
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertRegExp(name: string, value: string): void {
  try {
    new RegExp(value);
  } catch (cause) {
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option ${name}: ${JSON.stringify(value)} is no regular expression`,
      { cause },
    );
  }
}

export function invalidOption(name: string, value: unknown, expected: string): PipelineError {
  return new PipelineError(
    'PIPELINE_INVALID_OPTION',
    `option ${name}: ${JSON.stringify(value)} given, ${expected} expected`,
  );
}
