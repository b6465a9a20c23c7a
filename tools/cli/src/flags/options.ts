import { isUtf8 } from 'node:buffer';
import {
  optionsFor,
  optionTable,
  PipelineError,
  type NamedOption,
  type OptionCommand,
  type OptionsOf,
  type OptionSpec,
} from '@emloc/pipeline';
import { readRegularFileSync } from '@emloc/untrusted';
import { InvalidArgumentError, Option } from 'commander';

import type { OptionGroup, RawValues } from '../command/define-command.js';
import { attributeName } from '../command/flag.js';
import { parseSize } from '../sizes.js';
import { integer, number } from './numbers.js';

/** A number that its option refuses is told here where it reads otherwise than it was given. */
function numberOf(
  { name, assert }: NamedOption,
  parse: (text: string) => number,
): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (String(value) === text) return value;
    try {
      assert(name, value);
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      throw new InvalidArgumentError(error.message.replace(/^option \w+: \S+ given, /, ''));
    }
    return value;
  };
}

function size(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

function choiceOrNumber(choices: readonly string[]): (text: string) => string | number {
  return (text) => (choices.includes(text) ? text : number(text));
}

/** The text of a file; a byte order mark is no part of it. */
function readText(path: string): string {
  const bytes = readBytes(path);
  if (!isUtf8(bytes)) throw new InvalidArgumentError(`${path} is no text in UTF-8.`);
  return new TextDecoder().decode(bytes);
}

/** Far more than any template has. */
const maxFlagFileBytes = 64 * 2 ** 20;

function readBytes(path: string): Buffer {
  try {
    return readRegularFileSync(path, maxFlagFileBytes);
  } catch (error) {
    throw new InvalidArgumentError(`${path} cannot be read: ${(error as Error).message}.`);
  }
}

function list(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), text];
}

function option(
  flags: string,
  description: string,
  parse?: (text: string, previous: never) => unknown,
): Option {
  const created = new Option(flags, description);
  return parse ? created.argParser(parse as (text: string, previous: unknown) => unknown) : created;
}

/** A description with the default that the pipeline has; commander holds none of its own. */
function withDefault(description: string, value: unknown): string {
  return `${description} (default: ${String(value)})`;
}

/** How the text of a flag becomes a value; undefined: it stays as it is, or there is none. */
function parserOf(spec: NamedOption): Parameters<typeof option>[2] {
  const { kind, choices = [] } = spec;
  switch (kind) {
    case 'integer':
      return numberOf(spec, integer);
    case 'number':
      return numberOf(spec, number);
    case 'size':
      return size;
    case 'texts':
      return list;
    case 'textFile':
      return readText;
    case 'choiceOrNumber':
      return choiceOrNumber(choices);
    case 'text':
    case 'switch':
    case 'choice':
      return undefined;
  }
}

/** Flags of everything that a command takes of the pipeline's table of options. */
export function optionFlags(command: OptionCommand): readonly Option[] {
  return optionsFor(command)
    .filter(({ further }) => further !== true)
    .map((spec) => flagOf(spec, command));
}

/** Whether a flag may be given several times: another option has its values behind the first. */
function isSplit({ flag, further }: NamedOption, command: OptionCommand): boolean {
  const others = optionsFor(command).filter((other) => other.flag === flag);
  return further !== true && others.some((other) => other.further === true);
}

function flagOf(spec: NamedOption, command: OptionCommand): Option {
  const { flag, kind, choices, excludes } = spec;
  const parser = isSplit(spec, command) ? list : parserOf(spec);
  const created = option(flag, helpOf(spec, command), parser);
  if (kind === 'choice') created.choices([...(choices ?? [])]);
  return excludes === undefined
    ? created
    : created.conflicts(attributeName(optionTable[excludes].flag));
}

/**
 * What an option says, with its default.
 * @param command to which it may mean something of its own; null: to all others
 */
export function helpOf(spec: NamedOption, command: OptionCommand | null): string {
  const help = (command === null ? undefined : spec.helpIn?.[command]) ?? spec.help;
  const isTold =
    spec.default === undefined ||
    spec.default === null ||
    spec.default === Number.POSITIVE_INFINITY ||
    spec.kind === 'texts' ||
    spec.kind === 'switch';
  return isTold ? help : withDefault(help, spec.default);
}

const exclusions = Object.values<OptionSpec>(optionTable).flatMap((spec) =>
  spec.excludes === undefined
    ? []
    : [[attributeName(spec.flag), attributeName(optionTable[spec.excludes].flag)]],
);

/** The value that excludes this one: on the command line it wins over this one in a file. */
export function rivalOf(name: string): string | undefined {
  return exclusions.find((pair) => pair.includes(name))?.find((other) => other !== name);
}

/** What the flags of a command say of its options, without defaults. */
export function optionValues<C extends OptionCommand>(
  command: C,
  raw: RawValues,
): Partial<OptionsOf<C>> {
  const given = optionsFor(command).flatMap((spec) => {
    const value = partOf(spec, raw[attributeName(spec.flag)], command);
    return value === undefined ? [] : [[spec.name, value] as const];
  });
  return Object.fromEntries(given) as Partial<OptionsOf<C>>;
}

/** What an option has of the values of its flag. */
function partOf(spec: NamedOption, value: unknown, command: OptionCommand): unknown {
  if (!Array.isArray(value)) return spec.further === true ? undefined : value;
  if (isSplit(spec, command)) return value.at(0);
  if (spec.further !== true) return value;
  return value.length > 1 ? value.slice(1) : undefined;
}

/** What a command is given of the table: some of it has to be. */
type Given<C extends OptionCommand, R extends keyof OptionsOf<C>> = Partial<OptionsOf<C>> & {
  readonly [K in R]: NonNullable<OptionsOf<C>[K]>;
};

/**
 * The options of the table that a command takes, as flags.
 * @param required names whose flags have to be given
 */
export function tableOptions<C extends OptionCommand, R extends keyof OptionsOf<C> & string>(
  command: C,
  ...required: readonly R[]
): OptionGroup<Given<C, R>> {
  return {
    flags: optionFlags(command),
    required: optionsFor(command)
      .filter(({ name }) => required.some((each) => each === name))
      .map(({ flag }) => flag),
    valuesOf: (raw) => optionValues(command, raw) as Given<C, R>,
    rivalOf,
    flagOf: (name) =>
      optionsFor(command)
        .find((spec) => spec.name === name)
        ?.flag.replace(/ .*/, ''),
  };
}
