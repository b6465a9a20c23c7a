import { findUndeclared } from './children.js';
import { type Evaluate, type Place } from './compile-context.js';
import { compileExpression } from './compile-expression.js';
import { TemplateSyntaxError } from './errors.js';
import { Macro, type MacroShape } from './macro.js';
import { type MacroSignature, type Statement } from './nodes.js';
import { Frame, MISSING, type Output, type RenderState, type Slot } from './render-state.js';
import { Undefined } from './scalars.js';
import { type Ref } from './symbols.js';
import { toText, type Text } from './text-values.js';

interface MacroBody extends MacroSignature {
  readonly body: readonly Statement[];
  readonly line: number;
}

export function outputText({ text, marks }: Output, safe: boolean): Text {
  return toText(text, safe, marks);
}

/** @returns what makes the macro when its definition is reached */
export function compileMacro(
  node: MacroBody,
  outer: Place,
  name?: string,
): (frame: Frame) => Macro {
  const place = outer.innerFunction();
  const special = declareParameters(node, place);
  const refs = [...node.params.map((param) => place.ref(param.name, node.line)), ...special.refs];
  const write = compileMacroBody(node, place, refs);
  const shape: MacroShape = {
    name,
    params: node.params.map((param) => param.name),
    takesCaller: special.names.has('caller'),
    takesKwargs: special.names.has('kwargs'),
    takesVarargs: special.names.has('varargs'),
    invoke: (defining, values) => invoke(defining.runtime, () => write(defining, values)),
  };
  return (frame) => new Macro(shape, frame);
}

/** Declares the parameters, and caller, kwargs and varargs where the body reads them. */
function declareParameters(node: MacroBody, place: Place): { names: Set<string>; refs: Ref[] } {
  const { symbols } = place;
  const analyze = (): void => symbols.visitAll([...node.params, ...node.defaults, ...node.body]);
  analyze();
  const names = findUndeclared(node.body, ['caller', 'kwargs', 'varargs']);
  const own = new Set(node.params.map((param) => param.name));
  assertCallerHasDefault(node, names);
  for (const special of ['kwargs', 'varargs']) if (own.has(special)) names.delete(special);
  const refs = ['caller', 'kwargs', 'varargs']
    .filter((special) => names.has(special) && !own.has(special))
    .map((special) => symbols.declare(special));
  analyze();
  return { names, refs };
}

function assertCallerHasDefault(node: MacroBody, read: ReadonlySet<string>): void {
  const at = node.params.findIndex((param) => param.name === 'caller');
  if (read.has('caller') && at !== -1 && at < node.params.length - node.defaults.length)
    throw new TemplateSyntaxError(
      'When defining macros or call blocks the special "caller" argument must be omitted ' +
        'or be given a default.',
      node.line,
    );
}

type Write = (defining: Frame, values: Slot[]) => Text;

function compileMacroBody(node: MacroBody, place: Place, refs: readonly Ref[]): Write {
  const setDefaults = compileDefaults(node, place);
  const body = place.body(node.body);
  const enter = place.enter();
  return (defining, values) => {
    const { runtime } = defining;
    const frame = new Frame(runtime, defining.context, place.symbols.scope.size, defining);
    values.forEach((value, i) => {
      const ref = refs[i];
      if (ref !== undefined) frame.slots[ref.index] = value;
    });
    runtime.frames.push(frame);
    enter(frame);
    setDefaults(frame);
    const { output } = runtime.capture(() => body(frame));
    runtime.frames.pop();
    return outputText(output, false);
  };
}

function compileDefaults(node: MacroBody, place: Place): (frame: Frame) => void {
  const steps = node.params.map((param, i) => {
    const { index } = place.ref(param.name, node.line);
    const value = node.defaults[i - node.params.length + node.defaults.length];
    const evaluate: Evaluate =
      value === undefined
        ? () => new Undefined(`parameter '${param.name}' was not provided`)
        : compileExpression(value, place);
    return { index, evaluate };
  });
  return (frame) => {
    for (const { index, evaluate } of steps)
      if (frame.slots[index] === MISSING) frame.slots[index] = evaluate(frame);
  };
}

/** A call inside the limits; what the caller holds is not measured meanwhile. */
export function invoke<T>(runtime: RenderState, body: () => T): T {
  const { line } = runtime;
  runtime.budget.enter();
  const held = runtime.budget.hold();
  const result = body();
  runtime.budget.release(held);
  runtime.budget.leave();
  runtime.line = line;
  return result;
}
