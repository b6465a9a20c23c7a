/** One option: how its text becomes a value, and what a person is told about it. */
export interface Option<T> {
  readonly description: string;
  /** Shown in help, such as `PORT`. */
  readonly placeholder: string;
  /** What holds when nothing is given; without it the option must be given. */
  readonly default?: T;
  /**
   * Never printed; may also be read from the file that the variable `NAME_FILE` names, and not from
   * a flag.
   */
  readonly secret?: boolean;
  /** A flag without a value. */
  readonly isSwitch?: boolean;
  /** @throws Error saying what is expected, without the text when the option is secret */
  parse(text: string): T;
}

type Common<T> = Pick<Option<T>, 'description' | 'default' | 'secret'>;

export function stringOption<T extends string | undefined = string>(
  common: Common<T> & { pattern?: RegExp; placeholder?: string },
): Option<T> {
  return {
    placeholder: 'TEXT',
    ...common,
    parse: (text) => {
      if (text === '') throw new Error('must not be empty');
      if (common.pattern && !common.pattern.test(text))
        throw new Error(`must match ${common.pattern.source}`);
      return text as T;
    },
  };
}

export function integerOption(
  common: Common<number> & { min?: number; max?: number; placeholder?: string },
): Option<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = common;
  return {
    placeholder: 'N',
    ...common,
    parse: (text) => within(Number(text), /^-?\d+$/.test(text), min, max, 'a whole number'),
  };
}

export function booleanOption(common: Common<boolean>): Option<boolean> {
  return {
    placeholder: 'true|false',
    isSwitch: true,
    ...common,
    parse: (text) => {
      if (!['true', 'false', '1', '0'].includes(text)) throw new Error('must be true or false');
      return text === 'true' || text === '1';
    },
  };
}

export function choiceOption<const T extends string>(
  common: Common<T> & { choices: readonly T[] },
): Option<T> {
  return {
    placeholder: common.choices.join('|'),
    ...common,
    parse: (text) => {
      const choice = common.choices.find((candidate) => candidate === text);
      if (choice === undefined) throw new Error(`must be one of ${common.choices.join(', ')}`);
      return choice;
    },
  };
}

/** Comma-separated. */
export function listOption(
  common: Common<readonly string[]> & { placeholder?: string },
): Option<readonly string[]> {
  return {
    placeholder: 'A,B',
    ...common,
    parse: (text) =>
      text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== ''),
  };
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `512`, `64MiB`, `1.5GiB`. */
export function bytesOption(
  common: Common<number> & { min?: number; max?: number },
): Option<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = common;
  return {
    placeholder: 'SIZE',
    ...common,
    parse: (text) =>
      within(Math.floor(scaled(text, byteUnits)), true, min, max, 'a size such as 64MiB'),
  };
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `250ms`, `30s`, `5m`; in milliseconds. */
export function durationOption(
  common: Common<number> & { min?: number; max?: number },
): Option<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = common;
  return {
    placeholder: 'DURATION',
    ...common,
    parse: (text) => within(scaled(text, durationUnits), true, min, max, 'a duration such as 30s'),
  };
}

function scaled(text: string, units: Readonly<Record<string, number>>): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const scale = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return digits === undefined || scale === undefined ? Number.NaN : Number(digits) * scale;
}

function within(
  value: number,
  isWellFormed: boolean,
  min: number,
  max: number,
  expected: string,
): number {
  if (!isWellFormed || Number.isNaN(value)) throw new Error(`must be ${expected}`);
  if (value < min || value > max) throw new Error(`must be ${expected} from ${min} to ${max}`);
  return value;
}
