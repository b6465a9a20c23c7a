import {
  assertReplaceable,
  CheckpointError,
  holdPlace,
  logFileName,
  recordFileName,
  reportFileName,
  runFileName,
  type HeldPlace,
  type OutputPlace,
} from '@emloc/checkpoint';
import type { ModelLayout } from '@emloc/models';

import { PipelineError, type PipelineErrorCode } from '../errors.js';

/** Files of an adapter, of PEFT's layout and of diffusers'. */
const peftFiles = ['adapter_config.json', 'adapter_model.safetensors'];
const diffusersFiles = ['pytorch_lora_weights.safetensors'];

/** Of every kind: a folder that has one of them holds an adapter. */
export const adapterFiles: ReadonlySet<string> = new Set([...peftFiles, ...diffusersFiles]);

/** Paths of what a job writes, within its output folder. */
export function outcomeFiles({ diffusion }: Pick<ModelLayout, 'diffusion'>): readonly string[] {
  return pathsOf(diffusion ? diffusersFiles : peftFiles);
}

/** What whoever ran a job may put beside its result: they are not the same for equal inputs. */
const runFiles = [reportFileName, runFileName];

function pathsOf(files: readonly string[]): string[] {
  return [
    ...files,
    recordFileName,
    logFileName,
    ...files.map((name) => `uncorrected/${name}`),
    ...runFiles,
  ];
}

/** Those of every kind of model. */
export const outputPaths: readonly string[] = Object.freeze(
  pathsOf([...peftFiles, ...diffusersFiles]),
);

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
  const marks = ['adapter_config.json', 'pytorch_lora_weights.safetensors'];
  const kind = { name: 'adapter', marks };
  try {
    await assertReplaceable(place, { overwrite, kind, written: outputPaths });
  } catch (error) {
    throw asOutputError(error);
  }
}

/** What is wrong with an output or its disk has the codes of jobs here; other errors pass. */
export function asOutputError(error: unknown): Error {
  const { code: system } = Object(error) as { code?: unknown };
  if (system === 'ENOSPC' || system === 'EDQUOT')
    return new PipelineError('PIPELINE_DISK_FULL', (error as Error).message, { cause: error });
  const code =
    error instanceof CheckpointError
      ? /^CHECKPOINT(_OUTPUT_.*|_DISK_FULL)$/.exec(error.code)?.[1]
      : undefined;
  return code === undefined
    ? (error as Error)
    : new PipelineError(`PIPELINE${code}` as PipelineErrorCode, (error as Error).message, {
        cause: error,
      });
}
