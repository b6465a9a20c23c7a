import { isUtf8 } from 'node:buffer';
import { cardNames } from '@emloc/device-registry';
import {
  defaultCheckpointSteps,
  optionsFor,
  optionTable,
  PipelineError,
  type NamedOption,
  type OptionCommand,
  type OptionsOf,
  type OptionSpec,
  type StartMode,
} from '@emloc/pipeline';
import { readRegularFileSync } from '@emloc/untrusted';
import { InvalidArgumentError, Option, type Command } from 'commander';

import { parseSize } from './sizes.js';
import { UsageError } from './usage-error.js';

/** Values of the flags as commander names them. */
export type FlagValues = Readonly<Record<string, unknown>>;

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value))
    throw new InvalidArgumentError('A number is expected.');
  if (!Number.isFinite(value) && !/inf/i.test(text))
    throw new InvalidArgumentError('A finite number is expected.');
  return value;
}

function integer(text: string): number {
  const value = number(text);
  // Told as it was given: its digits are lost in the number.
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new InvalidArgumentError(
      `A whole number is expected, at most ${Number.MAX_SAFE_INTEGER}.`,
    );
  return value;
}

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

function positive(text: string): number {
  const value = number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('A whole number of at least 1 is expected.');
  return value;
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
  return optionsFor(command).map((spec) => flagOf(spec, command));
}

function flagOf(spec: NamedOption, command: OptionCommand): Option {
  const { flag, kind, choices, excludes } = spec;
  const created = option(flag, helpOf(spec, command), parserOf(spec));
  if (kind === 'choice') created.choices([...(choices ?? [])]);
  return excludes === undefined ? created : created.conflicts(valueName(optionTable[excludes]));
}

function helpOf(spec: NamedOption, command: OptionCommand): string {
  const help = spec.helpIn?.[command] ?? spec.help;
  const isTold =
    spec.default === undefined ||
    spec.default === null ||
    spec.default === Number.POSITIVE_INFINITY ||
    spec.kind === 'switch';
  return isTold ? help : withDefault(help, spec.default);
}

/** What commander calls the value of an option's flag. */
function valueName({ flag }: Pick<OptionSpec, 'flag'>): string {
  return new Option(flag).attributeName();
}

const exclusions = Object.values<OptionSpec>(optionTable).flatMap((spec) =>
  spec.excludes === undefined ? [] : [[valueName(spec), valueName(optionTable[spec.excludes])]],
);

/** The value that excludes this one: on the command line it wins over this one in a file. */
export function rivalOf(name: string): string | undefined {
  return exclusions.find((pair) => pair.includes(name))?.find((other) => other !== name);
}

/** What the flags of a command say of its options, without defaults. */
export function optionValues<C extends OptionCommand>(
  command: C,
  values: FlagValues,
): Partial<OptionsOf<C>> {
  const given = optionsFor(command).flatMap(({ name, flag }) => {
    const value = values[valueName({ flag })];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(given) as Partial<OptionsOf<C>>;
}

/** Flags of every command that runs a model on this machine. */
export const deviceFlags: readonly Option[] = [
  option(
    '--device <name>',
    'auto, cpu, cuda, cuda:N or tfjs (default: auto, CUDA where it can be had)',
  ),
  option('--threads <n>', 'CPU threads, at most 1024 (default: all cores)', integer),
];

/** A flag of `plan` alone. */
export const cardFlag: Option = option(
  '--card <name>',
  'plan for a card that is not there, from its data sheet; the budget is then what it has',
).choices(cardNames);

/** Flags of `plan` that `tune` names in refusing them: a job runs on what is there. */
export const refusedPlanFlags: readonly Option[] = [
  option('--card <name>', 'of plan', () => {
    throw new InvalidArgumentError(
      'It is an option of plan: a job runs on a device that is there.',
    );
  }).hideHelp(),
];

/** Flags about how a job runs here and what it leaves beside; they change no bytes of a result. */
export const progressFlags: readonly Option[] = [
  option('--resume', 'go on with the job that was interrupted; with none, begin'),
  option('--restart', 'throw away what an interrupted job has left, and begin anew'),
  option(
    '--checkpoint-steps <n>',
    withDefault('training is kept on disk after so many steps', defaultCheckpointSteps),
    positive,
  ),
  option('--tensorboard <dir>', 'also write event files for TensorBoard there'),
];

/** What happens to an interrupted job's progress. @throws UsageError */
export function startMode(values: FlagValues): StartMode {
  const [resume, restart] = [values['resume'] === true, values['restart'] === true];
  if (resume && restart) throw new UsageError('--resume and --restart exclude each other');
  return resume ? 'resume' : restart ? 'restart' : 'start';
}

/** Flags of every command. */
export const commonFlags: readonly Option[] = [
  option('--config <file>', 'YAML file with the names of these flags as keys; flags win'),
  option('--json', 'one JSON document on stdout, everything else on stderr'),
];

export function addFlags(command: Command, ...groups: readonly (readonly Option[])[]): Command {
  for (const flag of groups.flat()) command.addOption(flag);
  return command;
}
