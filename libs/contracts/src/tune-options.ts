import {
  create,
  ScalarType,
  type DescEnum,
  type DescEnumValue,
  type DescField,
  type MessageInitShape,
} from '@bufbuild/protobuf';

import {
  CorrectionChoiceSchema,
  DataSourceSchema,
  CorrectionChoice_Policy as Policy,
  TuneOptionsSchema,
  type CorrectionChoice,
  type Crop,
  type DataSource,
  type EmulatorMetric,
  type Factors,
  type LossWeighting,
  type Method,
  type NoiseScheme,
  type Optimizer,
  type Schedule,
  type Storage,
  type TuneOptions,
} from './generated/emloc/v1/tune_options_pb.js';

/** A data set that was uploaded, in place of a path. */
export interface UploadedDataset {
  /** `datasets/{dataset}` */
  readonly dataset: string;
}

type Choice = 'auto' | 'none' | number;

/** A field's value as a plain one. */
type Plain<T> = T extends bigint
  ? number
  : T extends number
    ? `${number}` extends `${T}`
      ? number
      : never
    : T extends CorrectionChoice
      ? Choice
      : T extends DataSource
        ? string | UploadedDataset
        : T extends readonly (infer I)[]
          ? readonly Plain<I>[]
          : T;

/** Names of an enum's values, as options have them. */
type NamesOf<E> = Hyphened<Lowercase<Exclude<keyof E & string, 'UNSPECIFIED'>>>;

type Hyphened<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}-${Hyphened<Tail>}`
  : S;

/** Fields whose values are those of an enum. */
interface Choices {
  readonly method: NamesOf<typeof Method>;
  readonly emulatorMetric: NamesOf<typeof EmulatorMetric>;
  readonly factors: NamesOf<typeof Factors>;
  readonly storage: NamesOf<typeof Storage>;
  readonly schedule: NamesOf<typeof Schedule>;
  readonly optimizer: NamesOf<typeof Optimizer>;
  readonly crop: NamesOf<typeof Crop>;
  readonly noiseScheme: NamesOf<typeof NoiseScheme>;
  readonly lossWeighting: NamesOf<typeof LossWeighting>;
}

type PlainField<F extends keyof Fields> = F extends keyof Choices
  ? Choices[F]
  : Plain<NonNullable<Fields[F]>>;

/** Fields that have not the name of the engine's option. */
const renamed = Object.freeze({ batchRows: 'batch', maxLengthTokens: 'maxLength' } as const);

type Renamed = typeof renamed;

type PlainName<F> = F extends keyof Renamed ? Renamed[F] : F;

type Fields = Omit<TuneOptions, '$typeName' | '$unknown'>;

type RequiredField = 'model' | 'data';

/**
 * The message TuneOptions as plain values: names and meaning are those of the engine's options,
 * except that a data set may be an uploaded one. Undefined or null: not set, the server's default
 * holds.
 */
export type PlainTuneOptions = {
  readonly [F in RequiredField]: PlainField<F>;
} & {
  readonly [
    F in keyof Fields as F extends RequiredField ? never : PlainName<F>
  ]?: PlainField<F> | null;
};

/**
 * Sources of data, each with what is known of it where it was uploaded.
 * @param uploads of those that were, in their order
 */
export function withUploads<U>(
  sources: readonly (string | UploadedDataset)[],
  uploads: readonly U[],
): readonly { readonly source: string | UploadedDataset; readonly upload: U | undefined }[] {
  const left = [...uploads];
  return sources.map((source) => ({
    source,
    upload: typeof source === 'string' ? undefined : left.shift(),
  }));
}

/** Where no limit is not a value, but one that is not set. */
const unlimited: readonly string[] = Object.freeze(['hostBytes']);

/**
 * Options as a message. Ranges are not checked: the server does that.
 * @throws RangeError for a size or seed that is no whole number
 */
export function toTuneOptionsMessage(options: PlainTuneOptions): TuneOptions {
  const values: Readonly<Record<string, unknown>> = options;
  const given = TuneOptionsSchema.fields.flatMap((field) => {
    const value = values[plainName(field)];
    const isUnlimited = value === Number.POSITIVE_INFINITY && unlimited.includes(field.localName);
    return value === undefined || value === null || isUnlimited
      ? []
      : [[field.localName, toFieldValue(field, value)]];
  });
  return create(
    TuneOptionsSchema,
    Object.fromEntries(given) as MessageInitShape<typeof TuneOptionsSchema>,
  );
}

/**
 * A message as options; what is not set is left out. Numbers that a float64 cannot hold exactly,
 * and enum values that this program does not know, come out as NaN and as the number, which the
 * engine's check of its options refuses by name.
 */
export function fromTuneOptionsMessage(message: TuneOptions): PlainTuneOptions {
  const values = message as unknown as Readonly<Record<string, unknown>>;
  const plain = TuneOptionsSchema.fields.flatMap((field) => {
    const value = values[field.localName];
    const known = value === undefined ? undefined : fromFieldValue(field, value);
    return known === undefined ? [] : [[plainName(field), known]];
  });
  return { data: '', ...Object.fromEntries(plain) } as PlainTuneOptions;
}

/** The option of a field. */
function plainName({ localName }: DescField): string {
  const names: Readonly<Record<string, string>> = renamed;
  return names[localName] ?? localName;
}

function toFieldValue(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'list':
      return (value as readonly unknown[]).map((each) =>
        isDataSource(field) ? toDataSource(each as string | UploadedDataset) : each,
      );
    case 'enum':
      return numberOf(field.enum, value);
    case 'message':
      return isDataSource(field)
        ? toDataSource(value as string | UploadedDataset)
        : toCorrection(value as Choice);
    case 'scalar':
      return isInt64(field) ? BigInt(value as number) : value;
    case 'map':
      throw new TypeError(`${String(field)} is a map`);
  }
}

/** Undefined where the value says that none is set. */
function fromFieldValue(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'list':
      return (value as readonly unknown[]).length > 0
        ? (value as readonly unknown[]).map((each) =>
            isDataSource(field) ? fromDataSource(each as DataSource) : each,
          )
        : undefined;
    case 'enum':
      return value === 0 ? undefined : nameOf(field.enum, value as number);
    case 'message':
      return isDataSource(field)
        ? fromDataSource(value as DataSource)
        : fromCorrection(value as CorrectionChoice);
    case 'scalar':
      return isInt64(field) ? exactNumber(value as bigint) : value;
    case 'map':
      throw new TypeError(`${String(field)} is a map`);
  }
}

/** Whether the field's values, or those of its list, say where data is. */
function isDataSource({ message }: DescField): boolean {
  return message?.typeName === DataSourceSchema.typeName;
}

/** Whether protobuf-es has the field's values as bigints. */
function isInt64(field: DescField & { fieldKind: 'scalar' }): boolean {
  return field.scalar === ScalarType.INT64;
}

/** A value of an enum by the name that options have for it. */
function numberOf({ values }: DescEnum, name: unknown): number | undefined {
  return values.find((value) => plainEnumName(value) === name)?.number;
}

/** The name that options have for an enum's value; the bare number where it has none. */
function nameOf({ value }: DescEnum, number: number): string | number {
  const known = value[number];
  return known === undefined ? number : plainEnumName(known);
}

/** `flux-shift` for NOISE_SCHEME_FLUX_SHIFT: without the prefix that all values share. */
function plainEnumName({ localName }: DescEnumValue): string {
  return localName.toLowerCase().replaceAll('_', '-');
}

function exactNumber(value: bigint): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : Number.NaN;
}

function toDataSource(source: string | UploadedDataset): DataSource {
  return create(DataSourceSchema, {
    source:
      typeof source === 'string'
        ? { case: 'path', value: source }
        : { case: 'dataset', value: source.dataset },
  });
}

function fromDataSource({ source }: DataSource): string | UploadedDataset {
  return source.case === 'dataset' ? { dataset: source.value } : (source.value ?? '');
}

const policies = Object.freeze({ auto: Policy.AUTO, none: Policy.NONE });

function toCorrection(choice: Choice): CorrectionChoice {
  return create(CorrectionChoiceSchema, {
    choice:
      typeof choice === 'number'
        ? { case: 'lambda', value: choice }
        : { case: 'policy', value: policies[choice] },
  });
}

/** NaN for a policy that this program does not know. */
function fromCorrection({ choice }: CorrectionChoice): Choice | undefined {
  switch (choice.case) {
    case 'lambda':
      return choice.value;
    case 'policy':
      if (choice.value === Policy.UNSPECIFIED) return undefined;
      return (
        (['auto', 'none'] as const).find((name) => policies[name] === choice.value) ?? Number.NaN
      );
    case undefined:
      return undefined;
  }
}
