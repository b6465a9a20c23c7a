import { PyDict, PyFloat, type PyValue } from '../jinja/index.js';

/** What a value is, in the words of JSON. */
export function kindOf(value: PyValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof PyDict) return 'an object';
  if (value instanceof PyFloat) return 'a number';
  return (
    { string: 'text', number: 'a number', bigint: 'a number', boolean: 'true or false' }[
      typeof value as string
    ] ?? typeof value
  );
}
