import { create } from '@bufbuild/protobuf';

import {
  CorrectionChoiceSchema,
  DataSourceSchema,
  CorrectionChoice_Policy as Policy,
  Schedule,
  TuneOptionsSchema,
  type CorrectionChoice,
  type DataSource,
  type TuneOptions,
} from './generated/emloc/v1/tune_options_pb.js';

/** A data set that was uploaded, in place of a path. */
export interface UploadedDataset {
  /** `datasets/{dataset}` */
  readonly dataset: string;
}

/**
 * The message TuneOptions as plain values: names and meaning are those of the engine's options,
 * except that a data set may be an uploaded one. Undefined: not set, the server's default holds.
 * Null: what null means to the engine, which is the same as not set here.
 */
export interface PlainTuneOptions {
  readonly model: string;
  readonly data: string | UploadedDataset;
  readonly validation?: string | UploadedDataset | null;
  readonly vramBytes?: number | null;
  /** Infinity: no limit. */
  readonly hostBytes?: number;
  readonly ratios?: readonly string[];
  readonly rank?: number;
  readonly alpha?: number;
  readonly useRslora?: boolean;
  readonly targets?: string | null;
  readonly learningRate?: number;
  readonly schedule?: keyof typeof schedules;
  readonly warmupRatio?: number;
  readonly weightDecay?: number;
  readonly maxGradientNorm?: number;
  readonly steps?: number | null;
  readonly epochs?: number;
  readonly batch?: number;
  readonly gradientAccumulation?: number;
  readonly maxLength?: number;
  readonly calibrationRows?: number;
  readonly correction?: 'auto' | 'none' | number;
  readonly refineSteps?: number | null;
  readonly refineLearningRate?: number | null;
  readonly prefetch?: boolean;
  readonly seed?: number;
}

const schedules = Object.freeze({
  cosine: Schedule.COSINE,
  linear: Schedule.LINEAR,
  constant: Schedule.CONSTANT,
});

const policies = Object.freeze({ auto: Policy.AUTO, none: Policy.NONE });

/**
 * Options as a message. Ranges are not checked: the server does that.
 * @throws RangeError for a size or seed that is no whole number
 */
export function toTuneOptionsMessage(options: PlainTuneOptions): TuneOptions {
  const {
    data,
    validation,
    vramBytes,
    hostBytes,
    ratios,
    schedule,
    batch,
    maxLength,
    correction,
    seed,
    ...same
  } = options;
  const given = Object.fromEntries(
    Object.entries(same).filter(([, value]) => value !== null && value !== undefined),
  ) as Pick<PlainTuneOptions, 'model'>;
  return create(TuneOptionsSchema, {
    ...given,
    data: toDataSource(data),
    ...(validation === null || validation === undefined
      ? {}
      : { validation: toDataSource(validation) }),
    vramBytes: toInt64(vramBytes),
    hostBytes: hostBytes === Number.POSITIVE_INFINITY ? undefined : toInt64(hostBytes),
    ratios: [...(ratios ?? [])],
    schedule: schedule && schedules[schedule],
    batchRows: batch,
    maxLengthTokens: maxLength,
    ...(correction === undefined ? {} : { correction: toCorrection(correction) }),
    seed: toInt64(seed),
  });
}

/**
 * A message as options; what is not set is left out. Numbers that a float64 cannot hold exactly,
 * and enum values that this program does not know, come out as NaN and as the number, which the
 * engine's check of its options refuses by name.
 */
export function fromTuneOptionsMessage(message: TuneOptions): PlainTuneOptions {
  const {
    $typeName: _type,
    $unknown: _unknown,
    data,
    validation,
    vramBytes,
    hostBytes,
    ratios,
    schedule,
    batchRows,
    maxLengthTokens,
    correction,
    seed,
    ...same
  } = message;
  const plain = {
    ...same,
    data: fromDataSource(data),
    validation: validation && fromDataSource(validation),
    vramBytes: fromInt64(vramBytes),
    hostBytes: fromInt64(hostBytes),
    ratios: ratios.length > 0 ? [...ratios] : undefined,
    schedule: schedule ? nameOf(schedules, schedule) : undefined,
    batch: batchRows,
    maxLength: maxLengthTokens,
    correction: correction && fromCorrection(correction),
    seed: fromInt64(seed),
  };
  return Object.fromEntries(
    Object.entries(plain).filter(([, value]) => value !== undefined),
  ) as unknown as PlainTuneOptions;
}

function toDataSource(source: string | UploadedDataset): DataSource {
  return create(DataSourceSchema, {
    source:
      typeof source === 'string'
        ? { case: 'path', value: source }
        : { case: 'dataset', value: source.dataset },
  });
}

function fromDataSource(message: DataSource | undefined): string | UploadedDataset {
  const source = message?.source;
  return source?.case === 'dataset' ? { dataset: source.value } : (source?.value ?? '');
}

function toCorrection(choice: 'auto' | 'none' | number): CorrectionChoice {
  return create(CorrectionChoiceSchema, {
    choice:
      typeof choice === 'number'
        ? { case: 'lambda', value: choice }
        : { case: 'policy', value: policies[choice] },
  });
}

function fromCorrection({ choice }: CorrectionChoice): 'auto' | 'none' | number | undefined {
  switch (choice.case) {
    case 'lambda':
      return choice.value;
    case 'policy':
      return choice.value === Policy.UNSPECIFIED ? undefined : knownPolicy(choice.value);
    case undefined:
      return undefined;
  }
}

/** NaN for one that this program does not know. */
function knownPolicy(policy: Policy): 'auto' | 'none' | number {
  const name = nameOf(policies, policy);
  return typeof name === 'number' ? Number.NaN : name;
}

/** The key of an enum's value; the bare number where it has none. */
function nameOf<K extends string>(names: Readonly<Record<K, number>>, value: number): K | number {
  return (Object.keys(names) as K[]).find((name) => names[name] === value) ?? value;
}

function toInt64(value: number | null | undefined): bigint | undefined {
  return value === null || value === undefined ? undefined : BigInt(value);
}

function fromInt64(value: bigint | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : Number.NaN;
}
