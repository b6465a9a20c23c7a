import { findUndeclared, walk } from './children.js';
import {
  BREAK,
  NORMAL,
  type Evaluate,
  type Execute,
  type Place,
  type Signal,
} from './compile-context.js';
import { compileExpression } from './compile-expression.js';
import { invoke, outputText } from './compile-macro.js';
import { compileTarget, type Assign } from './compile-target.js';
import { TemplateSyntaxError } from './errors.js';
import { LoopContext, type Recurse } from './loop-context.js';
import { type ForNode } from './nodes.js';
import { Frame, type RenderState } from './render-state.js';
import { isTruthy, toIterator } from './types.js';
import { PyIterator, PyTuple, type PyValue } from './values.js';

/** The parts of a loop that are run. */
interface Loop {
  /** Index of `loop`, where the body reads it. */
  readonly loopIndex: number | undefined;
  readonly assign: Assign;
  readonly enter: (frame: Frame) => void;
  readonly body: Execute;
  readonly leave: (frame: Frame) => void;
  readonly otherwise: Execute;
  readonly filter: ((frame: Frame, items: PyValue) => PyValue) | undefined;
}

export function compileFor(node: ForNode, outer: Place): Execute {
  assertLoopNotAssigned(node);
  const place = node.isRecursive ? outer.innerFunction(true) : outer.inner(true);
  const isExtended = node.isRecursive || readsLoop(node);
  const loopIndex = isExtended ? place.symbols.declare('loop').index : undefined;
  place.symbols.visitLoop(node, 'body');
  const iterable = compileExpression(node.iterable, outer);
  const loop: Loop = {
    loopIndex,
    filter: compileLoopTest(node, outer),
    otherwise: compileElse(node, node.isRecursive ? place : outer, outer),
    assign: compileTarget(node.target, place),
    body: place.body(node.body),
    enter: place.enter(),
    leave: place.leave(),
  };
  if (node.isRecursive) return recursive(loop, iterable, place);
  return (frame) => {
    const items = iterable(frame);
    const held = frame.runtime.budget.hold();
    const signal = runLoop(frame, loop, items);
    frame.runtime.budget.release(held);
    return signal;
  };
}

function assertLoopNotAssigned(node: ForNode): void {
  walk([node], (inner) => {
    if (inner.kind === 'name' && inner.context === 'store' && inner.name === 'loop')
      throw new TemplateSyntaxError(
        "Can't assign to special loop variable in for-loop target",
        inner.line,
      );
    return true;
  });
}

function readsLoop(node: ForNode): boolean {
  let hasScopedBlock = false;
  walk([node], (inner) => {
    if (inner.kind === 'block' && inner.isScoped) hasScopedBlock = true;
    return true;
  });
  return hasScopedBlock || findUndeclared(node.body, ['loop']).has('loop');
}

/** The else of a recursive loop is in its function; `break` there has no loop. */
function compileElse(node: ForNode, parent: Place, outer: Place): Execute {
  if (node.otherwise.length === 0) return () => NORMAL;
  const place = node.isRecursive ? elsePlace(parent, outer) : outer.inner();
  place.symbols.visitLoop(node, 'else');
  const body = place.body(node.otherwise);
  const [enter, leave] = [place.enter(), place.leave()];
  return (frame) => {
    enter(frame);
    const signal = body(frame);
    if (signal === NORMAL) leave(frame);
    return signal;
  };
}

/** Has the variables of the block around the loop, in the function of the loop. */
function elsePlace(loopPlace: Place, outer: Place): Place {
  return outer.innerOf(loopPlace.symbols.scope);
}

/** Items for which the test holds, looked at one by one as the loop goes on. */
function compileLoopTest(node: ForNode, outer: Place): Loop['filter'] {
  if (node.test === undefined) return undefined;
  const place = outer.innerFunction();
  place.symbols.visitLoop(node, 'test');
  const assign = compileTarget(node.target, place);
  const test = compileExpression(node.test, place);
  const enter = place.enter();
  return (outerFrame, items) => {
    const { runtime, context } = outerFrame;
    const frame = new Frame(runtime, context, place.symbols.scope.size, outerFrame);
    const next = toIterator(items);
    let hasEntered = false;
    const nextPassing = (): PyValue | undefined => {
      if (!hasEntered) enter(frame);
      hasEntered = true;
      for (let item = next(); item !== undefined; item = next()) {
        runtime.budget.visit();
        assign(frame, item);
        if (isTruthy(test(frame))) return node.target.kind === 'tuple' ? rebuilt(item) : item;
      }
      return undefined;
    };
    return new PyIterator('generator', nextPassing, items);
  };
}

/** Unpacked items are packed again as tuples. */
function rebuilt(item: PyValue): PyValue {
  if (item instanceof PyTuple) return item;
  const next = toIterator(item);
  const items: PyValue[] = [];
  for (let part = next(); part !== undefined; part = next()) items.push(part);
  return new PyTuple(items);
}

function recursive(loop: Loop, iterable: Evaluate, place: Place): Execute {
  const { isOn, isVolatile } = place.parts.escaping;
  const run = (outer: Frame, items: PyValue, depth: number): void => {
    const { runtime, context } = outer;
    const recurse: Recurse = (inner, innerDepth) => {
      const { output } = runtime.capture(() => run(outer, inner, innerDepth));
      return outputText(output, isVolatile ? runtime.isAutoescaping : isOn);
    };
    const frame = new Frame(runtime, context, place.symbols.scope.size, outer);
    runtime.frames.push(frame);
    invoke(runtime, () => runLoop(frame, loop, items, { recurse, depth }));
    runtime.frames.pop();
  };
  return (outer) => {
    run(outer, iterable(outer), 0);
    return NORMAL;
  };
}

function runLoop(
  frame: Frame,
  loop: Loop,
  iterable: PyValue,
  recursion?: { recurse: Recurse; depth: number },
): Signal {
  const items = loop.filter === undefined ? iterable : loop.filter(frame, iterable);
  const context =
    loop.loopIndex === undefined
      ? undefined
      : new LoopContext(items, recursion?.recurse, recursion?.depth);
  const next = context === undefined ? toIterator(items) : () => context.advance();
  const isEmpty = runPasses(frame, loop, next, context);
  loop.leave(frame);
  return isEmpty ? loop.otherwise(frame) : NORMAL;
}

/** @returns whether no pass came to its end, for which `else` is written */
function runPasses(
  frame: Frame,
  loop: Loop,
  next: () => PyValue | undefined,
  context: LoopContext | undefined,
): boolean {
  const { runtime } = frame;
  const { items } = runtime;
  const found = isTracking(runtime) ? new Map<PyValue, number>() : undefined;
  const start = runtime.root.text.length;
  let isEmpty = true;
  for (let item = next(); item !== undefined; item = next()) {
    runtime.budget.pass();
    const isTracked = found !== undefined && items.isTracked(item);
    if (isTracked) {
      found.set(item, runtime.root.text.length);
      items.depth++;
    }
    loop.assign(frame, item);
    if (loop.loopIndex !== undefined && context !== undefined)
      frame.slots[loop.loopIndex] = context;
    loop.enter(frame);
    const signal = loop.body(frame);
    if (isTracked) items.depth--;
    if (signal === BREAK) break;
    if (signal === NORMAL) isEmpty = false;
  }
  if (found !== undefined) items.add(found, runtime.root.text.length > start);
  return isEmpty;
}

/** Only loops that write to the text itself, and not inside of a pass for such an item. */
function isTracking({ items, output, root }: RenderState): boolean {
  return items.isTracking && items.depth === 0 && output === root;
}
