import { getAttribute } from './attributes.js';
import { type Evaluate } from './compile-context.js';
import { TemplateSyntaxError, typeError } from './errors.js';
import { findMethod, type Method } from './methods.js';
import { type Arguments, type Expression } from './nodes.js';
import { type Frame } from './render-state.js';
import { Undefined } from './scalars.js';
import { isText, textOf } from './text-values.js';
import { failUndefined, toIterator, typeNameOf } from './types.js';
import { PyCallable, PyDict, type Kwargs, type PyValue, type Runtime } from './values.js';

/** Values of the arguments of a call. */
interface CompiledArguments {
  readonly args: (frame: Frame) => PyValue[];
  readonly kwargs: (frame: Frame) => Map<string, PyValue> | null;
}

const pythonKeywords = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except ' +
    'finally for from global if import in is lambda nonlocal not or pass raise return try while ' +
    'with yield'
  ).split(' '),
);

export function compileArguments(
  node: Arguments & { readonly line: number },
  compile: (node: Expression) => Evaluate,
  reserved: readonly string[] = [],
): CompiledArguments {
  assertNamesDiffer(node, reserved);
  const args = compileItems(node.args.map(compile));
  const named = node.kwargs.map(({ name, value }) => ({ name, value: compile(value) }));
  const dynamicArgs = node.dynamicArgs === undefined ? undefined : compile(node.dynamicArgs);
  const dynamicKwargs = node.dynamicKwargs === undefined ? undefined : compile(node.dynamicKwargs);
  return {
    args: dynamicArgs === undefined ? args : (frame) => spread(args(frame), dynamicArgs(frame)),
    kwargs:
      named.length === 0 && dynamicKwargs === undefined
        ? () => null
        : (frame) => {
            const kwargs = new Map<string, PyValue>();
            for (const { name, value } of named) kwargs.set(name, value(frame));
            if (dynamicKwargs !== undefined) addKwargs(kwargs, dynamicKwargs(frame));
            return kwargs;
          },
  };
}

/** Python's compiler refuses a name that is given twice, but not among its own keywords. */
function assertNamesDiffer(
  node: Arguments & { readonly line: number },
  reserved: readonly string[],
): void {
  const names = [...node.kwargs.map(({ name }) => name), ...reserved];
  if (names.some((name) => pythonKeywords.has(name))) return;
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new TemplateSyntaxError(`keyword argument repeated: ${twice}`, node.line);
}

export function compileItems(items: readonly Evaluate[]): (frame: Frame) => PyValue[] {
  const [first, second, third] = items;
  if (first === undefined) return () => [];
  if (second === undefined) return (frame) => [first(frame)];
  if (third === undefined) return (frame) => [first(frame), second(frame)];
  return (frame) => items.map((item) => item(frame));
}

function spread(args: PyValue[], more: PyValue): PyValue[] {
  const next = toIterator(more);
  for (let item = next(); item !== undefined; item = next()) args.push(item);
  return args;
}

function addKwargs(kwargs: Map<string, PyValue>, more: PyValue): void {
  if (more instanceof Undefined) return failUndefined(more);
  if (!(more instanceof PyDict))
    throw typeError(`argument after ** must be a mapping, not ${typeNameOf(more)}`);
  for (const [key, value] of more.entries()) {
    if (!isText(key)) throw typeError('keywords must be strings');
    const name = textOf(key);
    if (kwargs.has(name)) throw typeError(`got multiple values for keyword argument '${name}'`);
    kwargs.set(name, value);
  }
}

export function callValue(
  runtime: Runtime,
  callee: PyValue,
  args: PyValue[],
  kwargs: Kwargs,
): PyValue {
  if (callee instanceof PyCallable) return callee.call(runtime, args, kwargs);
  if (callee instanceof Undefined) return failUndefined(callee);
  throw typeError(`'${typeNameOf(callee)}' object is not callable`);
}

/** A method is called without making a bound one first. */
export function compileMethodCall(
  node: Evaluate,
  name: string,
  { args, kwargs }: CompiledArguments,
): Evaluate {
  return (frame) => {
    const self = node(frame);
    const { runtime } = frame;
    const method: Method | undefined = findMethod(self, name);
    if (method !== undefined) return method(runtime, self, args(frame), kwargs(frame));
    const callee = getAttribute(runtime, self, name);
    return callValue(runtime, callee, args(frame), kwargs(frame));
  };
}
