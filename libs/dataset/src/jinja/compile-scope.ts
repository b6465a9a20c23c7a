import { at } from '@emloc/checked';

import { NORMAL, type Execute, type Place } from './compile-context.js';
import { compileExpression, compileFilter } from './compile-expression.js';
import { outputText } from './compile-macro.js';
import { compileTarget, namesOf } from './compile-target.js';
import { typeError } from './errors.js';
import { type AssignBlockNode, type Statement, type Target } from './nodes.js';
import { MISSING, type Frame } from './render-state.js';
import { isText } from './text-values.js';
import { toMarkup } from './texts.js';
import { isTruthy, typeNameOf } from './types.js';
import { type PyValue } from './values.js';

/** Statements with a text or with variables of their own. */
type Write = (frame: Frame) => void;

/** What is set at the top of a template is seen in its blocks, too. */
export function compileExport(target: Target, place: Place): Write {
  if (!place.isTop || !place.parts.hasBlocks) return () => undefined;
  const names = namesOf(target).map((name) => ({ name, index: place.ref(name, 1).index }));
  return (frame) => {
    for (const { name, index } of names) exportOne(frame, name, index);
  };
}

function exportOne(frame: Frame, name: string, index: number): void {
  const value = frame.slots[index];
  if (value !== undefined && value !== MISSING) frame.context.variables.set(name, value);
}

export function compileAssignBlock(node: AssignBlockNode, outer: Place): Execute {
  const place = outer.inner();
  place.symbols.visitAll(node.body);
  const body = place.body(node.body);
  const [enter, leave] = [place.enter(), place.leave()];
  const assign = compileTarget(node.target, outer);
  const exportNames = compileExport(node.target, outer);
  const filter = compileBodyFilter(node.filter, place);
  return (frame) => {
    const { runtime } = frame;
    enter(frame);
    const { output, result } = runtime.capture(() => body(frame));
    if (result !== NORMAL) return result;
    const text = filter(frame, outputText(output, runtime.isAutoescaping));
    assign(frame, runtime.isAutoescaping ? toMarkup(runtime, text) : text);
    exportNames(frame);
    leave(frame);
    return NORMAL;
  };
}

/** A filter with the text of a block as its value. */
function compileBodyFilter(
  node: AssignBlockNode['filter'],
  place: Place,
): (frame: Frame, body: PyValue) => PyValue {
  if (node === undefined) return (_frame, body) => body;
  // One rendering runs at a time, and a body is read before another one is written.
  let current: PyValue = null;
  const filter = compileFilter(node, place, () => current);
  return (frame, body) => {
    current = body;
    return filter(frame);
  };
}

export function writeText(frame: Frame, value: PyValue): void {
  if (!isText(value))
    throw typeError(`sequence item: expected str instance, ${typeNameOf(value)} found`);
  frame.runtime.output.write(frame.runtime.budget, value);
}

export function compileFilterBlock(
  node: Extract<Statement, { kind: 'filterblock' }>,
  outer: Place,
): Execute {
  const place = outer.inner();
  place.symbols.visitAll([...node.body, node.filter]);
  const body = place.body(node.body);
  const [enter, leave] = [place.enter(), place.leave()];
  const filter = compileBodyFilter(node.filter, place);
  return (frame) => {
    const { runtime } = frame;
    enter(frame);
    const { output, result } = runtime.capture(() => body(frame));
    if (result !== NORMAL) return result;
    writeText(frame, filter(frame, outputText(output, runtime.isAutoescaping)));
    leave(frame);
    return NORMAL;
  };
}

export function compileWith(node: Extract<Statement, { kind: 'with' }>, outer: Place): Execute {
  const place = outer.inner();
  place.symbols.visitAll([...node.targets, ...node.body]);
  const targets = node.targets.map((target) => compileTarget(target, place));
  const assigns = node.values.map((value, i) => ({
    assign: at(targets, i),
    value: compileExpression(value, outer),
  }));
  const body = place.body(node.body);
  const [enter, leave] = [place.enter(), place.leave()];
  return (frame) => {
    frame.runtime.line = node.line;
    enter(frame);
    for (const { assign, value } of assigns) assign(frame, value(frame));
    const signal = body(frame);
    if (signal === NORMAL) leave(frame);
    return signal;
  };
}

export function compileAutoescape(
  node: Extract<Statement, { kind: 'autoescape' }>,
  outer: Place,
): Execute {
  const place = outer.inner();
  place.symbols.visitAll([node.value, ...node.body]);
  const { escaping } = place.parts;
  const saved = { ...escaping };
  const value = compileExpression(node.value, place);
  if (node.value.kind === 'const') escaping.isOn = isTruthy(node.value.value);
  else escaping.isVolatile = true;
  const body = place.body(node.body);
  Object.assign(escaping, saved);
  const [enter, leave] = [place.enter(), place.leave()];
  return (frame) => {
    const { runtime } = frame;
    const wasOn = runtime.isAutoescaping;
    enter(frame);
    runtime.isAutoescaping = isTruthy(value(frame));
    const signal = body(frame);
    if (signal !== NORMAL) return signal;
    runtime.isAutoescaping = wasOn;
    leave(frame);
    return NORMAL;
  };
}
