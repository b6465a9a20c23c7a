import { InvalidArgumentError, Option } from 'commander';

/** One flag of a command; T is what stands for it, also where it is not given. */
export interface Flag<T> {
  /** As on the command line, with a placeholder for its value: `--limit <n>`. */
  readonly flag: string;
  /** With the default, where there is one. */
  readonly help: string;
  /** What the flag is when nothing is given. */
  readonly absent: T;
  /** The command is refused without it. */
  readonly isRequired?: boolean;
  readonly isHidden?: boolean;
  /** Values that it may have, for help and completion; without `parse` also the only ones. */
  readonly choices?: readonly string[];
  /** @throws InvalidArgumentError for a text that is no value */
  parse?(text: string, previous: T): T;
}

/** Flags by the names of their values. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

export type ValuesOf<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never;
};

/** True where it is given. */
export function switchFlag(flag: string, help: string): Flag<boolean> {
  return { flag, help, absent: false };
}

export function textFlag(flag: string, help: string): Flag<string | undefined> {
  return { flag, help, absent: undefined };
}

/** A text without which the command does nothing; one that is empty is as good as none. */
export function requiredFlag(flag: string, help: string): Flag<string> {
  return { flag, help, absent: '', isRequired: true };
}

/** Its placeholder in brackets: then the value may be left out, which gives `true`. */
export function choiceFlag<const V extends string, const S extends string>(
  flag: S,
  help: string,
  choices: readonly V[],
): Flag<V | (S extends `${string}[${string}` ? true : never) | undefined> {
  return { flag, help, choices, absent: undefined };
}

export function parsedFlag<T>(
  flag: string,
  help: string,
  parse: (text: string) => T,
): Flag<T | undefined> {
  return { flag, help, absent: undefined, parse };
}

/** Repeatable. */
export function repeatedFlag<T>(
  flag: string,
  help: string,
  parse: (text: string) => T,
): Flag<readonly T[]> {
  return {
    flag,
    help,
    absent: [],
    parse: (text, previous: readonly T[] = []) => [...previous, parse(text)],
  };
}

/** A flag that is known to be refused, with the reason. */
export function refusedFlag(flag: string, reason: string): Flag<undefined> {
  return {
    flag,
    help: reason,
    absent: undefined,
    isHidden: true,
    parse: () => {
      throw new InvalidArgumentError(reason);
    },
  };
}

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`A whole number from ${least} to ${most} is expected.`);
  };
}

export function toOptions(flags: Flags): readonly Option[] {
  return Object.values(flags).map(toOption);
}

function toOption({ flag, help, choices, isHidden = false, parse }: Flag<unknown>): Option {
  const option = new Option(flag, help);
  if (choices) option.choices([...choices]);
  // commander holds no defaults: it knows by them what was given.
  if (parse) option.argParser(parse);
  return isHidden ? option.hideHelp() : option;
}

/** What was given of these flags. @param opts by the names that commander has for them */
export function valuesOf<F extends Flags>(
  flags: F,
  opts: Readonly<Record<string, unknown>>,
): ValuesOf<F> {
  const values = Object.entries(flags).map(([name, { flag, absent }]) => {
    const given = opts[attributeName(flag)];
    return [name, given === undefined ? absent : given] as const;
  });
  return Object.fromEntries(values) as ValuesOf<F>;
}

/** What commander calls the value of a flag. */
export function attributeName(flag: string): string {
  return new Option(flag).attributeName();
}
