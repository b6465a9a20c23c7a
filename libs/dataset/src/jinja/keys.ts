import { type PyFloat } from './scalars.js';

/** The form of a key of a dict under which equal keys are the same. */
export type Key = string | number | bigint | null | object | symbol;

/** Of all undefined values. */
export const UNDEFINED_KEY = Symbol('Undefined');

export function floatKey(key: PyFloat): Key {
  if (Number.isNaN(key.value)) return key;
  if (Number.isInteger(key.value) && !Number.isSafeInteger(key.value)) return BigInt(key.value);
  return key.value === 0 ? 0 : key.value;
}

/** Different for different keys, as a part of the key of a tuple. */
export function encodeKey(key: Key): string {
  if (typeof key === 'string') return JSON.stringify(key);
  if (typeof key === 'object' && key !== null) return `#${numberOf(key)}`;
  return String(key);
}

const objectNumbers = new WeakMap<object, number>();
let objectCount = 0;

function numberOf(key: object): number {
  const known = objectNumbers.get(key);
  if (known !== undefined) return known;
  objectNumbers.set(key, ++objectCount);
  return objectCount;
}
