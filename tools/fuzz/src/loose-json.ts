/** A piece of text in place of a value, which need not be JSON. */
export class Verbatim {
  constructor(readonly text: string) {}
}

/** An object whose keys may stand several times. */
export class LooseObject {
  constructor(readonly entries: [string, unknown][]) {}
}

/** A copy that shares nothing that can be changed. */
export function copyLoose(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyLoose);
  if (!(value instanceof LooseObject)) return value;
  return new LooseObject(value.entries.map(([key, each]) => [key, copyLoose(each)]));
}

/** A parsed value with objects that can be changed in any way. */
export function loosen(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(loosen);
  if (typeof value !== 'object' || value === null) return value;
  return new LooseObject(Object.entries(value).map(([key, each]) => [key, loosen(each)]));
}

export function writeLoose(value: unknown): string {
  if (value instanceof Verbatim) return value.text;
  if (Array.isArray(value)) return `[${value.map(writeLoose).join(',')}]`;
  if (!(value instanceof LooseObject)) return JSON.stringify(value) ?? 'null';
  const entries = value.entries.map(([key, each]) => `${JSON.stringify(key)}:${writeLoose(each)}`);
  return `{${entries.join(',')}}`;
}
