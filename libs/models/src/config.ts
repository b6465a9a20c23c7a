import { ModelError } from './errors.js';

/** Inclusive bounds of a number in a config. */
interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

/** Sizes beyond this are no model's; products of two of them are still whole numbers. */
const largestSize = 2 ** 24;
/** The most characters of a key or a value that an error repeats. */
const maxShownCharacters = 200;

/** Typed access to a config.json; every refusal names the key and its value. null is absence. */
export class ConfigReader {
  constructor(
    private readonly values: Readonly<Record<string, unknown>>,
    /** Before every key in messages, e.g. `rope_parameters.`. */
    private readonly path = '',
    /** Its name, for messages. */
    private readonly file = 'config.json',
  ) {}

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  get(key: string): unknown {
    return this.values[key];
  }

  keys(): readonly string[] {
    return Object.keys(this.values);
  }

  /** The same config with other values under some keys. */
  with(values: Readonly<Record<string, unknown>>): ConfigReader {
    return new ConfigReader({ ...this.values, ...values }, this.path, this.file);
  }

  /** An object within the config; an empty one where it is absent. */
  nested(key: string): ConfigReader {
    const value = this.values[key] ?? {};
    if (!isObject(value)) throw this.invalid(key, 'an object');
    return new ConfigReader(value, `${this.path}${key}.`, this.file);
  }

  positiveInteger(
    key: string,
    fallback?: number,
    { least = 1, most = largestSize }: Bounds = {},
  ): number {
    const value = this.has(key) ? this.values[key] : fallback;
    if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most)
      return Number(value);
    throw this.invalid(key, `a whole number from ${least} to ${most}`);
  }

  /** As `positiveInteger`, but null is no absence: it stays null. */
  positiveIntegerOrNull(key: string, fallback: number | null, bounds?: Bounds): number | null {
    return this.orNull(key, fallback) ? null : this.positiveInteger(key, fallback ?? 0, bounds);
  }

  /** A number; without a fallback it has to be there. */
  number(
    key: string,
    fallback: number | undefined,
    { least = 0, most = Number.MAX_VALUE }: Bounds,
  ): number {
    const value = this.has(key) ? this.values[key] : fallback;
    if (typeof value === 'number' && value >= least && value <= most) return value;
    throw this.invalid(key, `a number from ${least} to ${most}`);
  }

  /** As `number`, but null is no absence: it stays null. */
  numberOrNull(key: string, fallback: number | null, bounds: Bounds): number | null {
    return this.orNull(key, fallback) ? null : this.number(key, fallback ?? 0, bounds);
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.has(key) ? this.values[key] : fallback;
    if (typeof value !== 'boolean') throw this.invalid(key, 'true or false');
    return value;
  }

  /** Refuses every value but those given; a missing or null key passes. */
  only(key: string, supported: readonly unknown[]): void {
    if (!this.has(key) || supported.includes(this.values[key])) return;
    throw this.unsupported(
      key,
      `only ${supported.map((value) => JSON.stringify(value)).join(', ')}`,
    );
  }

  /** Refuses a key that is present at all. */
  absent(key: string): void {
    if (this.has(key)) throw this.unsupported(key, 'only leaving it out');
  }

  /** The error of `architectures` that are none of those known. */
  unknownArchitecture(architecture: unknown, known: readonly string[]): ModelError {
    return new ModelError(
      'MODEL_UNKNOWN_ARCHITECTURE',
      `${this.file}: ${this.path === '' ? '' : `${this.path}architectures: `}architecture ${shown(architecture ?? null)} is not supported (supported: ${known.join(', ')})`,
    );
  }

  private orNull(key: string, fallback: number | null): boolean {
    return (this.values[key] === undefined ? fallback : this.values[key]) === null;
  }

  /** With the keys that it is within; a file may have any text for a key. */
  #nameOf(key: string): string {
    return cut(`${this.path}${key}`);
  }

  unsupported(key: string, supported: string): ModelError {
    return new ModelError(
      'MODEL_UNSUPPORTED_CONFIG',
      `${this.file}: ${this.#nameOf(key)} = ${shown(this.values[key])} is not supported (${supported})`,
    );
  }

  invalid(key: string, expected: string): ModelError {
    return new ModelError(
      'MODEL_INVALID_CONFIG',
      `${this.file}: ${this.#nameOf(key)} must be ${expected}, got ${shown(this.values[key])}`,
    );
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value of a config as an error shows it: cut, and numbers that JSON does not have by name. */
function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return cut(text);
}

function cut(text: string): string {
  return text.length > maxShownCharacters ? `${text.slice(0, maxShownCharacters)}…` : text;
}
