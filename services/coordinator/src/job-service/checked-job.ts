import { toTuneOptionsMessage, type Job } from '@emloc/contracts';
import { invalidRequest, RpcError, toRpcError } from '@emloc/rpc';

import type { DatasetFiles } from '../outcome/dataset-files.js';
import { maxInspectedBytes, type Engine, type Inspection } from '../outcome/engine.js';
import type { Places } from './places.js';
import { dataViolations } from './row-problems.js';
import { checkTuneOptions, type CheckedOptions, type OptionLimits } from './tune-options.js';

/** What jobs are checked with. */
export interface JobChecks {
  readonly engine: Pick<Engine, 'inspect'>;
  readonly datasetFiles: DatasetFiles;
  /** Of inspections, each of which has files. */
  readonly inspecting: Places;
  readonly limits: OptionLimits;
}

/** A job whose options, model and rows go together. */
export interface CheckedJob {
  readonly checked: CheckedOptions;
  readonly isEmulated: boolean;
}

/** @throws RpcError INVALID_ARGUMENT with what is wrong with options, model and rows */
export async function checkJob(job: Job | undefined, checks: JobChecks): Promise<CheckedJob> {
  const { inspecting, limits } = checks;
  const checked = await checkTuneOptions(job?.options, 'job.options', limits);
  const { isEmulated, decided, found } = await inspecting(() => inspect(checked, checks));
  const plain = { ...checked.plain, ...decided };
  const violations = dataViolations(plain, found, {
    prefix: 'job.options',
    maxSteps: limits.maxSteps,
  });
  if (violations.length > 0) throw invalidRequest(violations);
  return { checked: { ...checked, plain, message: toTuneOptionsMessage(plain) }, isEmulated };
}

/**
 * Asks the engine about model and rows.
 * @throws RpcError INVALID_ARGUMENT for a model or options that do not go with it, and for
 * unreadable rows
 */
async function inspect(
  checked: CheckedOptions,
  { engine, datasetFiles }: JobChecks,
): Promise<Inspection> {
  const held = await datasetFiles.open(checked, { maxBytes: maxInspectedBytes });
  try {
    return await engine.inspect(held.options);
  } catch (error) {
    const seen = toRpcError(error);
    if (seen.code !== 'INVALID_ARGUMENT' && seen.code !== 'NOT_FOUND') throw error;
    const description = seen.message.replaceAll(`${held.folder}/`, '');
    throw new RpcError('INVALID_ARGUMENT', `job.options: ${description}`, {
      reason: seen.reason,
      fieldViolations: [{ field: 'job.options', description }],
      cause: error,
    });
  } finally {
    await held.close();
  }
}
