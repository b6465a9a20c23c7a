import {
  assertReplaceable,
  CheckpointError,
  holdPlace,
  recordFileName,
  type HeldPlace,
  type OutputPlace,
} from '@emloc/checkpoint';

import { PipelineError, type PipelineErrorCode } from '../errors.js';

/** Paths of what a job writes, within its output folder. */
export const outcomeFiles: readonly string[] = Object.freeze([
  'adapter_config.json',
  'adapter_model.safetensors',
  recordFileName,
  'uncorrected/adapter_config.json',
  'uncorrected/adapter_model.safetensors',
]);

/**
 * Takes the place of an adapter: locked, with nothing half done in it.
 * @throws PipelineError PIPELINE_OUTPUT_EXISTS where a file is in the way,
 * PIPELINE_OUTPUT_UNWRITABLE, PIPELINE_OUTPUT_BUSY
 */
export async function holdOutput(out: string): Promise<HeldPlace> {
  return holdPlace(out).catch((error: unknown) => Promise.reject(asOutputError(error)));
}

/** @throws PipelineError PIPELINE_OUTPUT_EXISTS where an adapter may not be written */
export async function assertFree(place: OutputPlace, overwrite: boolean): Promise<void> {
  const kind = { name: 'adapter', mark: 'adapter_config.json' };
  try {
    await assertReplaceable(place, { overwrite, kind, written: outcomeFiles });
  } catch (error) {
    throw asOutputError(error);
  }
}

/** What is wrong with an output has the codes of jobs here. */
function asOutputError(error: unknown): Error {
  const code =
    error instanceof CheckpointError ? /^CHECKPOINT(_OUTPUT_.*)$/.exec(error.code)?.[1] : undefined;
  return code === undefined
    ? (error as Error)
    : new PipelineError(`PIPELINE${code}` as PipelineErrorCode, (error as Error).message, {
        cause: error,
      });
}
