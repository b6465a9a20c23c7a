import { create } from '@bufbuild/protobuf';
import {
  fromTuneOptionsMessage,
  toTuneOptionsMessage,
  TuneOptionsSchema,
  type PlainTuneOptions,
  type StoredObject,
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

import { sha256OfDataset } from '../resource-names.js';
import { checkModel, type ModelLimits } from './model.js';
import { confine } from './paths.js';

/** What a client may ask for. */
export interface OptionLimits extends ModelLimits {
  readonly dataRoots: readonly string[];
  /** Optimizer steps of training and of refinement, each. */
  readonly maxSteps: number;
  /** Where a data set of the client's tenant is; undefined: it has none with this hash. */
  readonly findDataset: (sha256: string) => Promise<StoredObject | undefined>;
}

/** Options with defaults and real paths, and where uploaded rows are. */
export interface CheckedOptions {
  readonly message: TuneOptionsMessage;
  /** Uploaded data sets by their resource names, paths elsewhere. */
  readonly plain: PlainTuneOptions;
  readonly data?: StoredObject;
  readonly validation?: StoredObject;
}

/** Characters of a text whose option says nothing else. */
const maxTextLength = 1000;
const maxTexts = 1000;

/** Options that are checked where they lead. */
const sources: readonly string[] = ['model', 'data', 'validation'];

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
  const data = await checkSource(`${prefix}.data`, given.data, limits);
  const validation =
    given.validation === undefined || given.validation === null
      ? null
      : await checkSource(`${prefix}.validation`, given.validation, limits);
  const misplaced = [model, data, validation].flatMap((checked) =>
    checked && 'violation' in checked ? [checked.violation] : [],
  );
  const violations = [...misplaced, ...valueViolations(given, prefix, limits)];
  if (
    violations.length > 0 ||
    'violation' in model ||
    'violation' in data ||
    (validation && 'violation' in validation)
  )
    throw invalidRequest(violations);
  const { ratios, ...defaults } = defaultTuneOptions;
  const set = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined && value !== null),
  );
  const plain: PlainTuneOptions = {
    ...defaults,
    ratios: [...ratios],
    ...set,
    model: model.path,
    data: sourceOf(data, given.data),
    validation: validation && given.validation ? sourceOf(validation, given.validation) : null,
  };
  return {
    message: toTuneOptionsMessage(plain),
    plain,
    ...objectOf('data', data),
    ...objectOf('validation', validation),
  };
}

/** Options for the engine, with the paths under which rows of uploaded data sets lie. */
export function engineOptions(
  plain: PlainTuneOptions,
  paths: {
    readonly model: string;
    readonly data: string;
    readonly validation: string | null;
    readonly out: string;
  },
): TuneOptions {
  return resolveTuneOptions({ ...plain, ...paths });
}

type CheckedSource =
  | { readonly path: string }
  | { readonly object: StoredObject }
  | { readonly violation: FieldViolation };

async function checkSource(
  field: string,
  source: PlainTuneOptions['data'],
  { dataRoots, findDataset }: OptionLimits,
): Promise<CheckedSource> {
  if (typeof source === 'string')
    return confine(field, source, { roots: dataRoots, option: 'data-roots', kind: 'file' });
  const sha256 = sha256OfDataset(source.dataset);
  const object = sha256 === undefined ? undefined : await findDataset(sha256);
  return object
    ? { object }
    : {
        violation: {
          field: `${field}.dataset`,
          description: `${JSON.stringify(source.dataset.slice(0, 100))} was not found`,
        },
      };
}

function sourceOf(
  checked: { readonly path: string } | { readonly object: StoredObject },
  given: PlainTuneOptions['data'],
): PlainTuneOptions['data'] {
  return 'path' in checked ? checked.path : given;
}

function objectOf<K extends string>(
  key: K,
  checked: CheckedSource | null,
): Partial<Record<K, StoredObject>> {
  return checked && 'object' in checked
    ? ({ [key]: checked.object } as Record<K, StoredObject>)
    : {};
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
    if (value === undefined || sources.includes(option.name)) return [];
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
  { mostServed }: NamedOption,
  value: unknown,
  maxSteps: number,
): string | null {
  const limit = mostServed === 'maxSteps' ? maxSteps : mostServed;
  return limit !== undefined && typeof value === 'number' && value > limit
    ? `${value} given, at most ${limit} is allowed`
    : null;
}
