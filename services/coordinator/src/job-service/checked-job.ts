import { toTuneOptionsMessage, type Job, type PlainTuneOptions } from '@emloc/contracts';
import { withChoice, type MethodChoice } from '@emloc/pipeline';
import { invalidRequest } from '@emloc/rpc';

import type { DatasetFiles } from '../outcome/dataset-files.js';
import { maxInspectedBytes, type Engine, type Inspection } from '../outcome/engine.js';
import type { ModelKind } from './model.js';
import { withOptionFields } from './option-errors.js';
import { decideJob } from './plan-job.js';
import { dataViolations } from './row-problems.js';
import { checkTuneOptions, type CheckedOptions, type OptionLimits } from './tune-options.js';
import type { Turns } from './turns.js';

/** What jobs are checked with. */
export interface JobChecks {
  readonly engine: Pick<Engine, 'inspect' | 'plan'>;
  readonly datasetFiles: DatasetFiles;
  /** Of inspections, each of which has files and a thread. */
  readonly inspecting: Turns;
  /** Of plans that decide what a job trains on. */
  readonly planning: Turns;
  readonly limits: OptionLimits;
  readonly tenant: string;
  /** The caller has gone, or its deadline has passed. */
  readonly signal: AbortSignal;
}

/** A job whose options, model and rows go together. */
export interface CheckedJob {
  readonly checked: CheckedOptions;
  readonly isEmulated: boolean;
  readonly modelKind: ModelKind;
  /** What a plan has decided; null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
}

/** @throws RpcError INVALID_ARGUMENT with what is wrong with options, model and rows */
export async function checkJob(job: Job | undefined, checks: JobChecks): Promise<CheckedJob> {
  const { inspecting, planning, limits, tenant, signal } = checks;
  const prefix = 'job.options';
  const checked = await checkTuneOptions(job?.options, prefix, limits);
  const { isEmulated, isUndecided, decided, found } = await inspecting(tenant, signal, () =>
    inspect(checked, checks),
  );
  const plain = { ...checked.plain, ...decided };
  const violations = dataViolations(plain, found, { prefix, maxSteps: limits.maxSteps });
  if (violations.length > 0) throw invalidRequest(violations);
  const choice = isUndecided
    ? await planning(tenant, signal, () => decideJob(checked, checks, { prefix, signal }))
    : null;
  const whole = choice ? { ...plain, ...withChoice(choosable(plain), choice) } : plain;
  return {
    checked: { ...checked, plain: whole, message: toTuneOptionsMessage(whole) },
    isEmulated: choice ? choice.method === 'emulator' : isEmulated,
    modelKind: found.kind,
    choice,
  };
}

/** What a choice changes. */
function choosable({ method, ratios, levels, steps, epochs }: PlainTuneOptions) {
  return {
    ...{ method: method ?? null, ratios: ratios ?? [], levels: levels ?? null },
    ...{ steps: steps ?? null, epochs: epochs ?? null },
  };
}

/**
 * Asks the engine about model and rows.
 * @throws RpcError INVALID_ARGUMENT for a model or options that do not go with it, and for
 * unreadable rows; the signal's reason
 */
async function inspect(
  checked: CheckedOptions,
  { engine, datasetFiles, signal }: JobChecks,
): Promise<Inspection> {
  const held = await datasetFiles.open(checked, { maxBytes: maxInspectedBytes, signal });
  try {
    return await withOptionFields('job.options', held.folder, () =>
      engine.inspect(held.options, signal),
    );
  } finally {
    await held.close();
  }
}
