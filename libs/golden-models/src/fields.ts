/** An object of a JSON file, whose fields have names in errors. */
export interface Fields {
  readonly [name: string]: unknown;
}

/** @throws Error that names the value */
export function asFields(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${name} is not an object`);
  return value as Fields;
}

/** @throws Error that names the value */
export function asNumber(value: unknown, name: string): number {
  if (typeof value !== 'number') throw new Error(`${name} is not a number`);
  return value;
}

/** @throws Error that names the value */
export function asNumbers(value: unknown, name: string): readonly number[] {
  if (!Array.isArray(value)) throw new Error(`${name} is not a list`);
  return value.map((element, index) => asNumber(element, `${name}[${index}]`));
}

/** What `read` makes of a value; undefined where there is none. */
export function optional<T>(
  value: unknown,
  name: string,
  read: (value: unknown, name: string) => T,
): T | undefined {
  return value === undefined ? undefined : read(value, name);
}
