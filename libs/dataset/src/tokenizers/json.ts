import { PatternSets } from '@emloc/patterns';

import { quote, TokenizerError } from './errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

const maxId = 2 ** 31 - 1;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One place of a parsed file, which refuses by name what is not as it must be. */
export class JsonPart {
  constructor(
    readonly value: unknown,
    readonly file: string,
    readonly path = '',
    /** Of all patterns in the file. */
    readonly sets = new PatternSets(),
  ) {}

  /** @throws TokenizerError always */
  fail(reason: string, cause?: unknown): never {
    throw new TokenizerError(this.file, this.path, reason, { cause });
  }

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  get(key: string): JsonPart {
    const value = Object.hasOwn(this.object, key) ? this.object[key] : undefined;
    return this.#inner(value, this.path === '' ? key : `${this.path}.${key}`);
  }

  get object(): JsonObject {
    return isObject(this.value) ? this.value : this.#mistaken('an object');
  }

  get isArray(): boolean {
    return Array.isArray(this.value);
  }

  get items(): readonly JsonPart[] {
    if (!Array.isArray(this.value)) return this.#mistaken('a list');
    return this.value.map((item, i) => this.#inner(item, `${this.path}[${i}]`));
  }

  get entries(): readonly (readonly [string, JsonPart])[] {
    return Object.keys(this.object).map((key) => [key, this.get(key)]);
  }

  get text(): string {
    return typeof this.value === 'string' ? this.value : this.#mistaken('a text');
  }

  get optionalText(): string | undefined {
    return this.isAbsent ? undefined : this.text;
  }

  /** One character. */
  get character(): string {
    return Array.from(this.text).length === 1 ? this.text : this.fail('must be one character');
  }

  get flag(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.#mistaken('true or false');
  }

  flagOr(fallback: boolean): boolean {
    return this.isAbsent ? fallback : this.flag;
  }

  get count(): number {
    return typeof this.value === 'number' && Number.isSafeInteger(this.value) && this.value >= 0
      ? this.value
      : this.#mistaken('a whole number');
  }

  get number(): number {
    return typeof this.value === 'number' ? this.value : this.#mistaken('a number');
  }

  get id(): number {
    return isId(this.value) ? this.value : this.fail(idReason(this.value));
  }

  oneOf<T extends string>(choices: readonly T[]): T {
    const choice = choices.find((each) => each === this.text);
    return choice ?? this.fail(`${quote(this.text)} is none of ${choices.join(', ')}`);
  }

  #inner(value: unknown, path: string): JsonPart {
    return new JsonPart(value, this.file, path, this.sets);
  }

  #mistaken(what: string): never {
    return this.fail(`must be ${what}, is ${describe(this.value)}`);
  }
}

export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maxId;
}

export function idReason(value: unknown): string {
  return `the id must be a whole number from 0 to ${maxId}, is ${describe(value)}`;
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? quote(value) : String(value);
}
