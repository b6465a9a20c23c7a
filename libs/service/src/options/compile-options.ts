import { readFileSync } from 'node:fs';
import { at, messageOf } from '@emloc/checked';

import { ServiceError } from '../errors.js';
import type { Option } from './option-types.js';

/** Options by their names in the program, in camel case. */
export type OptionSet = Readonly<Record<string, Option<unknown>>>;

export type OptionValues<S extends OptionSet> = {
  readonly [K in keyof S]: S[K] extends Option<infer T> ? T : never;
};

export interface OptionSources {
  /** Flags: `--max-jobs 3`, `--max-jobs=3`, `--verbose`, `--no-verbose`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the environment's names: `EMLOC` makes `maxJobs` `EMLOC_MAX_JOBS`. */
  readonly envPrefix: string;
}

/**
 * Reads every option from flags, then the environment, then its default; checks all and freezes the
 * result.
 * @throws ServiceError OPTION_INVALID that lists everything that is wrong, and no secret
 */
export function compileOptions<S extends OptionSet>(
  set: S,
  { args, env, envPrefix }: OptionSources,
): OptionValues<S> {
  const problems: string[] = [];
  const flags = readFlags(set, args, problems);
  const values = Object.entries(set).map(([name, option]) => {
    const given = flags.get(name) ?? fromEnvironment(name, option, env, envPrefix, problems);
    return [name, valueOf(name, option, given, envPrefix, problems)] as const;
  });
  if (problems.length > 0)
    throw new ServiceError('OPTION_INVALID', `options: ${problems.join('; ')}`);
  return Object.freeze(Object.fromEntries(values)) as OptionValues<S>;
}

/** A table of all options for `--help` and README pages. */
export function describeOptions(set: OptionSet, envPrefix: string): string {
  const rows = Object.entries(set).map(([name, option]) => {
    const flag = option.secret
      ? ''
      : option.isSwitch
        ? `--${toFlag(name)}`
        : `--${toFlag(name)} ${option.placeholder}`;
    const fallback =
      option.default === undefined
        ? ''
        : ` (default ${Array.isArray(option.default) ? option.default.join(',') : String(option.default)})`;
    return [
      flag,
      `${toVariable(name, envPrefix)}${option.secret ? ' or _FILE' : ''}`,
      `${option.description}${option.secret ? '' : fallback}`,
    ] as const;
  });
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => at(row, column).length)));
  return rows
    .map(
      ([flag, variable, text]) =>
        `  ${flag.padEnd(at(widths, 0))}  ${variable.padEnd(at(widths, 1))}  ${text}`,
    )
    .join('\n');
}

/** The values as they may be logged. */
export function printableOptions<S extends OptionSet>(
  set: S,
  values: OptionValues<S>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(set).map(([name, option]) => [
      name,
      option.secret ? (values[name] === undefined ? undefined : '[secret]') : values[name],
    ]),
  );
}

/** Secret values that are set, for the logger to remove. */
export function secretValues<S extends OptionSet>(set: S, values: OptionValues<S>): string[] {
  return Object.entries(set)
    .filter(([, { secret }]) => secret)
    .map(([name]) => values[name])
    .filter((value) => typeof value === 'string');
}

interface Given {
  readonly text: string;
  readonly from: string;
}

function readFlags(
  set: OptionSet,
  args: readonly string[],
  problems: string[],
): Map<string, Given> {
  const names = new Map(Object.keys(set).map((name) => [toFlag(name), name]));
  const flags = new Map<string, Given>();
  for (let index = 0; index < args.length; index++) {
    const [flag, inline] = splitFlag(at(args, index));
    const negated = flag.startsWith('no-') && !names.has(flag);
    const name = names.get(negated ? flag.slice(3) : flag);
    const option = name === undefined ? undefined : set[name];
    if (flag === '') problems.push(`argument ${index + 1} is not a flag`);
    else if (name === undefined || !option || (negated && !option.isSwitch))
      problems.push(`unknown flag --${flag}`);
    else if (option.secret) {
      problems.push(`--${flag} would show a secret in the process list: use the environment`);
      if (inline === undefined) index += 1;
    } else if (flags.has(name)) problems.push(`--${flag} is given twice`);
    else {
      const text = inline ?? (option.isSwitch ? String(!negated) : args[++index]);
      if (text === undefined) problems.push(`--${flag} needs ${option.placeholder}`);
      else flags.set(name, { text, from: `--${flag}` });
    }
  }
  return flags;
}

function splitFlag(argument: string): [flag: string, inline?: string] {
  if (!argument.startsWith('--')) return [''];
  const equals = argument.indexOf('=');
  return equals < 0 ? [argument.slice(2)] : [argument.slice(2, equals), argument.slice(equals + 1)];
}

function fromEnvironment(
  name: string,
  { secret }: Option<unknown>,
  env: OptionSources['env'],
  prefix: string,
  problems: string[],
): Given | undefined {
  const variable = toVariable(name, prefix);
  const text = env[variable];
  if (text !== undefined) return { text, from: variable };
  const file = secret ? env[`${variable}_FILE`] : undefined;
  if (file === undefined) return undefined;
  try {
    return { text: readFileSync(file, 'utf8').trim(), from: `${variable}_FILE` };
  } catch (error) {
    problems.push(`${variable}_FILE: ${messageOf(error)}`);
    return undefined;
  }
}

function valueOf(
  name: string,
  option: Option<unknown>,
  given: Given | undefined,
  prefix: string,
  problems: string[],
): unknown {
  if (!given) {
    if (!('default' in option))
      problems.push(
        `${option.secret ? '' : `--${toFlag(name)} or `}${toVariable(name, prefix)} is required`,
      );
    return option.default;
  }
  try {
    return option.parse(given.text);
  } catch (error) {
    problems.push(
      `${given.from} ${messageOf(error)}${option.secret ? '' : `, not '${given.text.slice(0, 60)}'`}`,
    );
    return undefined;
  }
}

function toFlag(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function toVariable(name: string, prefix: string): string {
  return `${prefix}_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
