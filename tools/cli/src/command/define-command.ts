import type { Option } from 'commander';

import type { Progress } from '../output/progress.js';
import { attributeName, toOptions, valuesOf, type Flags, type ValuesOf } from './flag.js';

/** What commander has read: values by its own names. */
export type RawValues = Readonly<Record<string, unknown>>;

/** Flags that are made from a table of options elsewhere. */
export interface OptionGroup<O> {
  readonly flags: readonly Option[];
  /** Those without which the command is refused, as `--model <dir>`. */
  readonly required: readonly string[];
  /** What was given, without defaults. */
  valuesOf(raw: RawValues): O;
  /** The value that excludes this one: on the command line it wins over this one in a file. */
  rivalOf(name: string): string | undefined;
  /** The flag of an option by the name that errors have for it, as `--grad-accum`. */
  flagOf(name: string): string | undefined;
}

/** What every command works with. */
export interface CommandTools {
  /** One JSON document on stdout is asked for. */
  readonly json: boolean;
  readonly progress: Progress;
  /** Aborted by SIGINT, SIGTERM, SIGHUP, and where nobody takes what is printed. */
  readonly signal: AbortSignal;
  /** Aborted by a SIGINT that follows such a signal: there is no time for an orderly end. */
  readonly hurry: AbortSignal;
  /** Every command beside this one, and those below them. */
  everyCommand(): Promise<readonly NamedCommand[]>;
  /** Shows a part of the result at once. */
  show(result: ShownResult): void;
}

/**
 * What a command has to say: a document for machines, a text for people, which is empty where it
 * was shown already.
 */
export interface ShownResult {
  readonly document: unknown;
  readonly text: string;
}

/** How a command ends: with what is yet to be shown, or without, where all of it was. */
export type CommandResult = (ShownResult | Partial<Record<keyof ShownResult, undefined>>) & {
  /** Of `exitCodes`, where the work was done with an answer that a script should stop at. */
  readonly exitCode?: number;
};

/** What stands without a flag: `<job>` has to be given, `[file]` may be. */
interface Argument<A extends string> {
  readonly name: A;
  readonly help: string;
  /** Flags that it stands for, which are refused beside it: commander's names of their values. */
  readonly standsFor?: readonly string[];
}

type ArgumentValue<A extends string> = A extends `<${string}` ? string : string | undefined;

interface CommandContext<
  O,
  F extends Flags,
  A extends string,
  T extends string,
> extends CommandTools {
  /** Of the options' table, those that were given. */
  readonly options: O;
  readonly values: ValuesOf<F>;
  readonly argument: ArgumentValue<A>;
  readonly target: ArgumentValue<T>;
}

interface Definition<O, F extends Flags, A extends string, T extends string> {
  readonly argument?: Argument<A>;
  /** What stands after the argument. */
  readonly target?: Argument<T>;
  readonly options?: OptionGroup<O>;
  readonly flags: F;
  /** Told after the flags. */
  readonly notes?: string;
  /** Without the `emloc` before each. */
  readonly examples: readonly string[];
  run(context: CommandContext<O, F, A, T>): Promise<CommandResult>;
}

/** A command as the runner knows it, whatever its flags. */
export interface DefinedCommand {
  readonly argument: Argument<string> | null;
  readonly target: Argument<string> | null;
  readonly flags: readonly Option[];
  /** Long names without which it is refused, with what commander calls their values. */
  readonly required: readonly { readonly long: string; readonly attribute: string }[];
  readonly notes: string;
  readonly examples: readonly string[];
  rivalOf(name: string): string | undefined;
  flagOf(name: string): string | undefined;
  run(raw: RawValues, args: readonly string[], tools: CommandTools): Promise<CommandResult>;
}

/** A command with its place; `defined` is null for a group of commands. */
export interface NamedCommand {
  /** `['jobs', 'list']` */
  readonly path: readonly string[];
  readonly summary: string;
  readonly defined: DefinedCommand | null;
}

type None = Readonly<Record<never, never>>;

/** A command; its name and what it does in a line are in the list of commands. */
export function defineCommand<
  O = None,
  F extends Flags = None,
  A extends string = '[none]',
  T extends string = '[none]',
>(definition: Definition<O, F, A, T>): DefinedCommand {
  const { argument, target, options, flags, notes = '', examples } = definition;
  const required = Object.values(flags)
    .filter(({ isRequired }) => isRequired)
    .map(({ flag }) => flag);
  return {
    argument: argument ?? null,
    target: target ?? null,
    flags: [...(options?.flags ?? []), ...toOptions(flags)],
    required: [...(options?.required ?? []), ...required].map((flag) => ({
      long: flag.replace(/ .*/, ''),
      attribute: attributeName(flag),
    })),
    notes,
    examples,
    rivalOf: (name) => options?.rivalOf(name),
    flagOf: (name) => options?.flagOf(name),
    run: (raw, [first, second], tools) =>
      definition.run({
        ...tools,
        options: (options?.valuesOf(raw) ?? {}) as O,
        values: valuesOf(flags, raw),
        argument: first as ArgumentValue<A>,
        target: second as ArgumentValue<T>,
      }),
  };
}
