import { assertBytes, assertInteger, assertText, invalidOption } from './checks.js';

/**
 * Who takes options of the table; `jobs` stands for a deployment's jobs, over the wire, `chat` for
 * `generate` with `--chat` or `--serve`.
 */
export type OptionCommand =
  'tune' | 'plan' | 'jobs' | 'eval' | 'generate' | 'chat' | 'merge' | 'data';

/** Models that write text, and models that make pictures. */
export type ModelKind = 'text' | 'pictures';

/** How the text of a flag becomes a value. */
type OptionKind =
  | 'text'
  | 'textFile'
  | 'texts'
  | 'integer'
  | 'number'
  | 'size'
  | 'switch'
  | 'choice'
  | 'choiceOrNumber';

/** What an option is told about, wherever it is told about. */
interface Common<D, C extends OptionCommand> {
  /** What holds when nothing is given; absent: it has to be given. */
  readonly default?: D;
  /** As on the command line, with a placeholder for its value: `--max-length <tokens>`. */
  readonly flag: string;
  /**
   * Without the default, which is added, except where that is null, a switch, a list or no limit:
   * there the help says what it means.
   */
  readonly help: string;
  /** Its values are those of its flag behind the first, which is that of an option before it. */
  readonly further?: true;
  /** Help of commands to which the option means something of their own. */
  readonly helpIn?: Readonly<Partial<Record<C, string>>>;
  readonly commands: readonly C[];
  /** In the message TuneOptions of the contracts; of those, and only those, that `jobs` takes. */
  readonly field?: string;
  /** The only kind of model that it means something to; absent: all. */
  readonly of?: ModelKind;
  /** The option that excludes this one. */
  readonly excludes?: 'epochs' | 'batch';
  /** False: it changes no byte of a result, or what it names is compared by its contents. */
  readonly decides?: boolean;
  /** The greatest number that a deployment takes, or the longest text in characters. */
  readonly mostServed?: number | 'maxSteps';
  /** Steps that a text asks for, which a deployment limits as it does numbers of them. */
  countsSteps?(value: string): number;
}

/** One option: its values, and every word about it. */
export interface OptionSpec<T = unknown, C extends OptionCommand = OptionCommand> extends Common<
  T,
  C
> {
  readonly kind: OptionKind;
  /** Those of a choice. */
  readonly choices?: readonly string[];
  /**
   * Null is not asked about: it is the default of options that may have no value.
   * @throws the typed error of what the value is for, by default PipelineError
   * PIPELINE_INVALID_OPTION
   */
  assert(name: string, value: unknown): void;
}

/** What an option with values V and this default can be. */
type Value<V, D> = V | D;

export function text<D extends string | null = never, C extends OptionCommand = never>({
  check,
  ...common
}: Common<D, C> & { check?: (name: string, value: string) => void }): OptionSpec<
  Value<string, D>,
  C
> {
  return {
    ...common,
    kind: 'text',
    assert: (name, value) => {
      assertText(name, value);
      check?.(name, value as string);
    },
  };
}

/** The text of a file in UTF-8; the flag and the configuration file name the file. */
export function textFile<D extends string | null = never, C extends OptionCommand = never>({
  mostBytes,
  ...common
}: Common<D, C> & { mostBytes: number }): OptionSpec<Value<string, D>, C> {
  return {
    ...common,
    kind: 'textFile',
    assert: (name, value) => {
      assertText(name, value);
      assertBytes(name, value as string, mostBytes);
    },
  };
}

/** Repeatable. */
export function texts<C extends OptionCommand>({
  check,
  ...common
}: Common<readonly string[], C> & {
  check?: (name: string, values: readonly string[]) => void;
}): OptionSpec<readonly string[], C> {
  return {
    ...common,
    kind: 'texts',
    assert: (name, value) => {
      if (!Array.isArray(value)) throw invalidOption(name, value, 'a list of texts');
      for (const item of value) assertText(name, item);
      check?.(name, value as readonly string[]);
    },
  };
}

export function integer<D extends number | null = never, C extends OptionCommand = never>({
  least,
  most,
  check,
  ...common
}: Common<D, C> & {
  least: number;
  most?: number;
  check?: (name: string, value: number) => void;
}): OptionSpec<Value<number, D>, C> {
  return {
    ...common,
    kind: 'integer',
    assert: (name, value) => {
      assertInteger(name, value, least, most);
      check?.(name, value as number);
    },
  };
}

/** Values that a number may have, and how they are called in an error. */
interface Range {
  readonly expected: string;
  holds(value: number): boolean;
}

/** Infinity: no limit. */
export const positive: Range = { expected: 'positive', holds: (value) => value > 0 };

export const positiveFinite: Range = {
  expected: 'positive and finite',
  holds: (value) => value > 0 && Number.isFinite(value),
};

export function positiveUpTo(most: number): Range {
  return {
    expected: `above 0 and at most ${most}`,
    holds: (value) => value > 0 && value <= most,
  };
}

export function number<D extends number | null = never, C extends OptionCommand = never>({
  range,
  ...common
}: Common<D, C> & { range: Range }): OptionSpec<Value<number, D>, C> {
  return { ...common, kind: 'number', assert: assertRange(range) };
}

/** Bytes; Infinity: no limit. */
export function size<D extends number | null = never, C extends OptionCommand = never>(
  common: Common<D, C>,
): OptionSpec<Value<number, D>, C> {
  return { ...common, kind: 'size', assert: assertRange(positive) };
}

/** True or false; its flag, which may be `--no-NAME`, has no value. */
export function flagged<C extends OptionCommand>(
  common: Common<boolean, C>,
): OptionSpec<boolean, C> {
  return {
    ...common,
    kind: 'switch',
    assert: (name, value) => {
      if (typeof value !== 'boolean') throw invalidOption(name, value, 'true or false');
    },
  };
}

export function choice<
  const V extends string,
  const D extends string | null,
  C extends OptionCommand,
>(common: Common<D, C> & { choices: readonly V[] }): OptionSpec<Value<V, D>, C> {
  return {
    ...common,
    kind: 'choice',
    assert: (name, value) => {
      if (!common.choices.some((known) => known === value))
        throw invalidOption(name, value, common.choices.join(', '));
    },
  };
}

export function choiceOrNumber<const V extends string, C extends OptionCommand>({
  range,
  ...common
}: Common<V | number, C> & { choices: readonly V[]; range: Range }): OptionSpec<V | number, C> {
  return {
    ...common,
    kind: 'choiceOrNumber',
    assert: (name, value) => {
      if (!common.choices.some((known) => known === value)) assertRange(range)(name, value);
    },
  };
}

function assertRange({ expected, holds }: Range): OptionSpec['assert'] {
  return (name, value) => {
    if (!(typeof value === 'number' && holds(value))) throw invalidOption(name, value, expected);
  };
}
