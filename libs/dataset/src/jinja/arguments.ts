import { pythonError, typeError } from './errors.js';
import { isInt, toInt } from './numbers.js';
import { Undefined } from './scalars.js';
import { isText, type Text } from './text-values.js';
import { typeNameOf } from './types.js';
import { type Kwargs, type PyValue } from './values.js';

/** Parameters of a native function. */
interface Signature<Parameters extends string> {
  readonly name: string;
  readonly parameters: Parameters;
  readonly names: readonly string[];
  readonly required: number;
  /** The first of these cannot be given by name. */
  readonly positionalOnly: number;
}

/** Values in the order of the parameters, of which the optional ones may be absent. */
export type Bound<Parameters extends string> = Parameters extends `${infer First} ${infer Rest}`
  ? [...BoundWord<First>, ...Bound<Rest>]
  : BoundWord<Parameters>;

type BoundWord<Word extends string> = Word extends '' | '/'
  ? []
  : Word extends `${string}?`
    ? [PyValue?]
    : [PyValue];

/** `parameters`: names, optional ones with `?`, those before `/` by position only. */
export function signature<Parameters extends string>(
  name: string,
  parameters: Parameters,
): Signature<Parameters> {
  const words = parameters.split(' ').filter((word) => word !== '');
  const slash = words.indexOf('/');
  const names = words.filter((word) => word !== '/');
  return {
    name,
    parameters,
    names: names.map((word) => word.replace('?', '')),
    required: names.filter((word) => !word.endsWith('?')).length,
    positionalOnly: slash === -1 ? 0 : slash,
  };
}

/** @throws TemplateError where the arguments are not those that the parameters ask for */
export function bind<Parameters extends string>(
  signature: Signature<Parameters>,
  args: readonly PyValue[],
  kwargs: Kwargs,
): Bound<Parameters> {
  // Counts and names were checked against the parameters.
  return bindValues(signature, args, kwargs) as Bound<Parameters>;
}

function bindValues(
  { name, names, required, positionalOnly }: Signature<string>,
  args: readonly PyValue[],
  kwargs: Kwargs,
): readonly (PyValue | undefined)[] {
  if (args.length > names.length)
    throw typeError(
      `${name}() takes ${names.length} positional arguments but ${args.length} were given`,
    );
  if (kwargs === null || kwargs.size === 0) {
    if (args.length < required) throw missing(name, names[args.length]);
    return args;
  }
  const bound: (PyValue | undefined)[] = [...args];
  for (const [key, value] of kwargs) {
    const index = names.indexOf(key);
    if (index < positionalOnly)
      throw typeError(`${name}() got an unexpected keyword argument '${key}'`);
    if (bound[index] !== undefined)
      throw typeError(`${name}() got multiple values for argument '${key}'`);
    bound[index] = value;
  }
  for (let i = 0; i < required; i++) if (bound[i] === undefined) throw missing(name, names[i]);
  return bound;
}

function missing(name: string, parameter: string | undefined): Error {
  return typeError(`${name}() missing required argument: '${parameter}'`);
}

/** As `operator.index(x)`. */
export function toIndex(value: PyValue): number {
  if (typeof value === 'number') return value;
  if (isInt(value)) return Number(toInt(value));
  if (value instanceof Undefined) throw pythonError(value.exception, value.message);
  throw typeError(`'${typeNameOf(value)}' object cannot be interpreted as an integer`);
}

export function toTextArgument(value: PyValue, name: string): Text {
  if (isText(value)) return value;
  throw typeError(`${name}() argument must be str, not ${typeNameOf(value)}`);
}
