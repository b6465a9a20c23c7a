import {
  assertReplaceable,
  CheckpointError,
  holdPlace,
  recordFileName,
  type HeldPlace,
} from '@emloc/checkpoint';

import { PipelineError, type PipelineErrorCode } from './errors.js';

/** Paths of what a job writes, within its output folder. */
export const outcomeFiles: readonly string[] = Object.freeze([
  'adapter_config.json',
  'adapter_model.safetensors',
  recordFileName,
  'uncorrected/adapter_config.json',
  'uncorrected/adapter_model.safetensors',
]);

/**
 * Takes the place of an adapter: locked, with nothing half done in it, and free to be written.
 * @throws PipelineError PIPELINE_OUTPUT_EXISTS, PIPELINE_OUTPUT_UNWRITABLE, PIPELINE_OUTPUT_BUSY
 */
export async function holdOutput(out: string, overwrite: boolean): Promise<HeldPlace> {
  try {
    const place = await holdPlace(out);
    try {
      const kind = { name: 'adapter', mark: 'adapter_config.json' };
      await assertReplaceable(place, { overwrite, kind, written: outcomeFiles });
      return place;
    } catch (error) {
      await place.release();
      throw error;
    }
  } catch (error) {
    throw asOutputError(error);
  }
}

/** What is wrong with an output has the codes of jobs here. */
function asOutputError(error: unknown): unknown {
  const code =
    error instanceof CheckpointError ? /^CHECKPOINT(_OUTPUT_.*)$/.exec(error.code)?.[1] : undefined;
  return code === undefined
    ? error
    : new PipelineError(`PIPELINE${code}` as PipelineErrorCode, (error as Error).message, {
        cause: error,
      });
}
