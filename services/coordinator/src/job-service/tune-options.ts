import { create } from '@bufbuild/protobuf';
import {
  fromTuneOptionsMessage,
  toTuneOptionsMessage,
  TuneOptionsSchema,
  type PlainTuneOptions,
  type TuneOptions as TuneOptionsMessage,
} from '@emloc/contracts';
import { EmulatorError } from '@emloc/emulator';
import {
  defaultTuneOptions,
  optionsFor,
  PipelineError,
  resolveTuneOptions,
  type NamedOption,
  type TuneOptions,
} from '@emloc/pipeline';
import { invalidRequest, type FieldViolation } from '@emloc/rpc';

import { checkInitAdapter, checkKind, checkModel, type ModelLimits } from './model.js';
import { checkSources, sourceNames, type SourceLimits, type SourceObjects } from './sources.js';

/** What a client may ask for. */
export interface OptionLimits extends ModelLimits, SourceLimits {
  /** Optimizer steps of training and of refinement, each. */
  readonly maxSteps: number;
}

/** Options with defaults and real paths, and where uploaded data is. */
export interface CheckedOptions extends SourceObjects {
  readonly message: TuneOptionsMessage;
  /** Uploaded data sets by their resource names, paths elsewhere. */
  readonly plain: PlainTuneOptions;
}

/** Characters of a text whose option says nothing else. */
const maxTextLength = 1000;
const maxTexts = 1000;

/** Options that are checked where they lead. */
const places: readonly string[] = ['model', 'initAdapter', 'moreData', ...sourceNames];

/**
 * Checks everything that needs neither the model nor a device.
 * @param prefix of field names, such as `job.options`
 * @throws RpcError with every field that is wrong
 */
export async function checkTuneOptions(
  message: TuneOptionsMessage | undefined,
  prefix: string,
  limits: OptionLimits,
): Promise<CheckedOptions> {
  const given = fromTuneOptionsMessage(message ?? create(TuneOptionsSchema));
  const model = await checkModel(`${prefix}.model`, given.model, limits);
  const kind = 'path' in model ? await checkKind(`${prefix}.model`, model.path, limits) : model;
  const start = await checkInitAdapter(`${prefix}.init_adapter`, given.initAdapter, limits);
  const sources = await checkSources(given, 'kind' in kind ? kind.kind : null, {
    ...limits,
    prefix,
  });
  const violations = [
    ...('violation' in kind ? [kind.violation] : []),
    ...('violation' in start ? [start.violation] : []),
    ...sources.violations,
    ...valueViolations(given, prefix, limits),
  ];
  if (violations.length > 0 || 'violation' in model || 'violation' in start)
    throw invalidRequest(violations);
  const { ratios: _none, ...defaults } = defaultTuneOptions;
  const set = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined && value !== null),
  );
  const plain: PlainTuneOptions = {
    ...defaults,
    ...set,
    model: model.path,
    initAdapter: start.path,
    ...sources.plain,
  };
  return { message: toTuneOptionsMessage(plain), plain, ...sources.objects };
}

/** Options for the engine, with the paths under which uploaded data sets lie. */
export function engineOptions(
  plain: PlainTuneOptions,
  paths: {
    readonly model: string;
    readonly data: string;
    readonly moreData: readonly string[];
    readonly validation: string | null;
    readonly classData: string | null;
    readonly out: string;
  },
): TuneOptions {
  return resolveTuneOptions({ ...plain, ...paths });
}

/**
 * The engine's check of each value by itself, so that all that are wrong are named, and this
 * server's limits.
 */
function valueViolations(
  given: PlainTuneOptions,
  prefix: string,
  { maxSteps }: OptionLimits,
): readonly FieldViolation[] {
  const values: Readonly<Record<string, unknown>> = given;
  return optionsFor('jobs').flatMap((option) => {
    const value = values[option.name];
    if (value === undefined || places.includes(option.name)) return [];
    const description =
      lengthProblem(option, value) ??
      valueProblem(option, value) ??
      limitProblem(option, value, maxSteps);
    return description === null ? [] : [{ field: `${prefix}.${option.field}`, description }];
  });
}

function valueProblem({ name, assert }: NamedOption, value: unknown): string | null {
  try {
    assert(name, value);
    return null;
  } catch (error) {
    if (error instanceof PipelineError || error instanceof EmulatorError)
      return error.message.replace(/^option \w+: /, '');
    throw error;
  }
}

function lengthProblem({ mostServed }: NamedOption, value: unknown): string | null {
  const most = typeof mostServed === 'number' ? mostServed : maxTextLength;
  const isLong = (item: unknown): boolean => typeof item === 'string' && item.length > most;
  if (!Array.isArray(value))
    return isLong(value) ? `a text has more than ${most} characters` : null;
  return value.length > maxTexts || value.some(isLong)
    ? `a text has more than ${most} characters, or there are more than ${maxTexts}`
    : null;
}

function limitProblem(
  { mostServed, countsSteps }: NamedOption,
  value: unknown,
  maxSteps: number,
): string | null {
  if (countsSteps && typeof value === 'string') {
    const steps = countsSteps(value);
    return steps > maxSteps ? `${steps} steps given, at most ${maxSteps} are allowed` : null;
  }
  const limit = mostServed === 'maxSteps' ? maxSteps : mostServed;
  return limit !== undefined && typeof value === 'number' && value > limit
    ? `${value} given, at most ${limit} is allowed`
    : null;
}
