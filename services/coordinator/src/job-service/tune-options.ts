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
  PipelineError,
  resolveTuneOptions,
  type TuneOptions,
} from '@emloc/pipeline';
import { invalidRequest, type FieldViolation } from '@emloc/rpc';

import { sha256OfDataset } from '../resource-names.js';
import { confine } from './paths.js';

/** What a client may ask for. */
export interface OptionLimits {
  readonly modelRoots: readonly string[];
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

const maxTextLength = 1000;
const maxRatios = 1000;
const maxRank = 65_536;
const maxCount = 1_000_000;

/** Names of the message's fields where they are not the option's in snake case. */
const fieldNames: Readonly<Record<string, string>> = Object.freeze({
  batch: 'batch_rows',
  maxLength: 'max_length_tokens',
});

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
  const model = await confine(`${prefix}.model`, given.model, {
    roots: limits.modelRoots,
    option: 'model-roots',
    kind: 'folder',
  });
  const data = await checkSource(`${prefix}.data`, given.data, limits);
  const validation =
    given.validation === undefined || given.validation === null
      ? null
      : await checkSource(`${prefix}.validation`, given.validation, limits);
  const sources = [model, data, validation].flatMap((checked) =>
    checked && 'violation' in checked ? [checked.violation] : [],
  );
  const violations = [...sources, ...valueViolations(given, prefix, limits)];
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
  paths: { readonly data: string; readonly validation: string | null; readonly out: string },
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
  const { model: _model, data: _data, validation: _validation, ...values } = given;
  return Object.entries(values).flatMap(([name, value]) => {
    const description = problemOf(name, value) ?? limitProblem(name, value, maxSteps);
    return description === null
      ? []
      : [{ field: `${prefix}.${fieldNames[name] ?? snakeCase(name)}`, description }];
  });
}

function problemOf(name: string, value: unknown): string | null {
  if (tooLong(value))
    return `a text has more than ${maxTextLength} characters, or there are more than ${maxRatios}`;
  try {
    resolveTuneOptions({ model: '', data: '', out: '', [name]: value });
    return null;
  } catch (error) {
    if (error instanceof PipelineError || error instanceof EmulatorError)
      return error.message.replace(/^option \w+: /, '');
    throw error;
  }
}

function tooLong(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > maxRatios || value.some(tooLong);
  return typeof value === 'string' && value.length > maxTextLength;
}

function limitProblem(name: string, value: unknown, maxSteps: number): string | null {
  const most: Readonly<Record<string, number>> = {
    steps: maxSteps,
    epochs: maxSteps,
    refineSteps: maxSteps,
    rank: maxRank,
    batch: maxCount,
    gradientAccumulation: maxCount,
    calibrationRows: maxCount,
    maxLength: maxCount * 10,
    alpha: Number.MAX_VALUE,
    learningRate: Number.MAX_VALUE,
    refineLearningRate: Number.MAX_VALUE,
  };
  const limit = most[name];
  return limit !== undefined && typeof value === 'number' && value > limit
    ? `${value} given, at most ${limit} is allowed`
    : null;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
