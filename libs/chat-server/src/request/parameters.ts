import { RequestRefusal } from '../errors.js';

/** A JSON object that a client sent. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A parameter that cannot be taken as it is. */
export function refusedParameter(
  param: string,
  reason: string,
  code = 'invalid_value',
): RequestRefusal {
  return new RequestRefusal(`${param}: ${reason}`, { param, code });
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads parameters of a request; null is absence. Every method throws RequestRefusal. */
export class Parameters {
  constructor(private readonly body: JsonObject) {}

  get(name: string): unknown {
    return Object.hasOwn(this.body, name) ? (this.body[name] ?? null) : null;
  }

  text(name: string): string | null {
    const value = this.get(name);
    if (value === null || typeof value === 'string') return value;
    throw refusedParameter(name, 'a text is expected');
  }

  flag(name: string): boolean {
    const value = this.get(name) ?? false;
    if (typeof value === 'boolean') return value;
    throw refusedParameter(name, 'true or false is expected');
  }

  object(name: string): JsonObject | null {
    const value = this.get(name);
    if (value === null || isObject(value)) return value;
    throw refusedParameter(name, 'an object is expected');
  }

  /** A whole number, at least so large. */
  integer(name: string, least: number): number | null {
    const value = this.get(name);
    if (value === null || (Number.isSafeInteger(value) && Number(value) >= least))
      return value as number | null;
    throw refusedParameter(name, `a whole number, at least ${least}, is expected`);
  }

  number(name: string, expected: string, holds: (value: number) => boolean): number | null {
    const value = this.get(name);
    if (value === null || (typeof value === 'number' && holds(value))) return value;
    throw refusedParameter(name, `a number ${expected} is expected`);
  }
}
