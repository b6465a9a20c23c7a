import { callValue, compileArguments } from './compile-call.js';
import {
  BREAK,
  CONTINUE,
  NORMAL,
  type Evaluate,
  type Execute,
  type Place,
} from './compile-context.js';
import { compileExpression, compileFilter } from './compile-expression.js';
import { compileFor } from './compile-loop.js';
import { compileMacro, outputText } from './compile-macro.js';
import { compileNamespaceCheck, compileTarget, namesOf } from './compile-target.js';
import { pythonError, TemplateSyntaxError, typeError } from './errors.js';
import {
  type AssignBlockNode,
  type BlockNode,
  type CallBlockNode,
  type GenerationNode,
  type IfNode,
  type OutputPart,
  type Statement,
  type Target,
} from './nodes.js';
import { MISSING, type Frame } from './render-state.js';
import { isText } from './text-values.js';
import { escape, str, toMarkup } from './texts.js';
import { isTruthy, typeNameOf } from './types.js';
import { type PyValue } from './values.js';

export function compileBody(statements: readonly Statement[], place: Place): Execute {
  const steps = statements.map((statement) => compileStatement(statement, place));
  const [first, second] = steps;
  if (first === undefined) return () => NORMAL;
  if (second === undefined) return first;
  return (frame) => {
    for (const step of steps) {
      const signal = step(frame);
      if (signal !== NORMAL) return signal;
    }
    return NORMAL;
  };
}

function compileStatement(node: Statement, place: Place): Execute {
  switch (node.kind) {
    case 'output':
      return compileOutput(node.parts, place, node.line);
    case 'if':
      return compileIf(node, place);
    case 'for':
      return compileFor(node, place);
    case 'assign':
      return compileAssign(node.target, node.value, place, node.line);
    case 'assignblock':
      return compileAssignBlock(node, place);
    case 'macro':
      return compileMacroStatement(node, place);
    case 'callblock':
      return compileCallBlock(node, place);
    case 'generation':
      return compileGeneration(node, place);
    case 'break':
    case 'continue':
      return compileJump(node.kind, place, node.line);
    default:
      return compileRareStatement(node, place);
  }
}

type RareStatement = Extract<
  Statement,
  { kind: 'block' | 'filterblock' | 'with' | 'autoescape' | 'load' }
>;

function compileRareStatement(node: RareStatement, place: Place): Execute {
  switch (node.kind) {
    case 'block':
      return compileBlockCall(node, place);
    case 'filterblock':
      return compileFilterBlock(node, place);
    case 'with':
      return compileWith(node, place);
    case 'autoescape':
      return compileAutoescape(node, place);
    case 'load':
      return (frame) => {
        frame.runtime.line = node.line;
        throw typeError(`no loader for this environment specified: {% ${node.tag} %}`);
      };
  }
}

function compileJump(kind: 'break' | 'continue', place: Place, line: number): Execute {
  if (!place.isInLoop) throw new TemplateSyntaxError(`'${kind}' outside loop`, line);
  const signal = kind === 'break' ? BREAK : CONTINUE;
  return () => signal;
}

type Write = (frame: Frame) => void;

function compileOutput(parts: readonly OutputPart[], place: Place, line: number): Execute {
  const writes = parts.map((part) => compilePart(part, place));
  const [first, second] = writes;
  if (first !== undefined && second === undefined)
    return (frame) => {
      frame.runtime.line = line;
      first(frame);
      return NORMAL;
    };
  return (frame) => {
    frame.runtime.line = line;
    for (const write of writes) write(frame);
    return NORMAL;
  };
}

function compilePart(part: OutputPart, place: Place): Write {
  if (part.kind === 'data') {
    const { text } = part;
    return ({ runtime }) => runtime.output.write(runtime.budget, text);
  }
  const value = compileExpression(part, place);
  const { isOn, isVolatile } = place.parts.escaping;
  if (isVolatile || isOn) return compileEscaped(value, isVolatile);
  return (frame) => {
    const { runtime } = frame;
    const text = str(runtime, value(frame));
    runtime.output.write(runtime.budget, text);
  };
}

function compileEscaped(value: Evaluate, isVolatile: boolean): Write {
  return (frame) => {
    const { runtime } = frame;
    const shown = value(frame);
    const isEscaped = !isVolatile || runtime.isAutoescaping;
    const text = isEscaped ? escape(runtime, shown) : str(runtime, shown);
    runtime.output.write(runtime.budget, text);
  };
}

function compileIf(node: IfNode, outer: Place): Execute {
  const place = outer.soft();
  const branches = [node, ...node.elifs].map(({ test, body, line }) => ({
    test: compileExpression(test, place),
    body: compileBody(body, place),
    line,
  }));
  const otherwise = compileBody(node.otherwise, place);
  return (frame) => {
    for (const { test, body, line } of branches) {
      frame.runtime.line = line;
      if (isTruthy(test(frame))) return body(frame);
    }
    return otherwise(frame);
  };
}

/** What is set at the top of a template is seen in its blocks, too. */
function compileExport(target: Target, place: Place): Write {
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

function compileAssign(
  target: Target,
  node: Parameters<typeof compileExpression>[0],
  place: Place,
  line: number,
): Execute {
  const check = compileNamespaceCheck(target, place);
  const assign = compileTarget(target, place);
  const value = compileExpression(node, place);
  const exportNames = compileExport(target, place);
  return (frame) => {
    frame.runtime.line = line;
    check(frame);
    assign(frame, value(frame));
    exportNames(frame);
    return NORMAL;
  };
}

function compileAssignBlock(node: AssignBlockNode, outer: Place): Execute {
  const place = outer.inner();
  place.symbols.visitAll(node.body);
  const body = compileBody(node.body, place);
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

function writeText(frame: Frame, value: PyValue): void {
  if (!isText(value))
    throw typeError(`sequence item: expected str instance, ${typeNameOf(value)} found`);
  frame.runtime.output.write(frame.runtime.budget, value);
}

function compileFilterBlock(
  node: Extract<Statement, { kind: 'filterblock' }>,
  outer: Place,
): Execute {
  const place = outer.inner();
  place.symbols.visitAll([...node.body, node.filter]);
  const body = compileBody(node.body, place);
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

function compileMacroStatement(node: Extract<Statement, { kind: 'macro' }>, place: Place): Execute {
  const { index } = place.ref(node.name, node.line);
  const make = compileMacro(node, place, node.name);
  const isExported = place.isTop && place.parts.hasBlocks;
  return (frame) => {
    const macro = make(frame);
    frame.slots[index] = macro;
    if (isExported) frame.context.variables.set(node.name, macro);
    return NORMAL;
  };
}

function compileCallBlock(node: CallBlockNode, place: Place): Execute {
  const make = compileMacro(node, place);
  const callee = compileExpression(node.call.node, place);
  const args = compileArguments(node.call, (inner) => compileExpression(inner, place), ['caller']);
  return (frame) => {
    frame.runtime.line = node.line;
    const caller = make(frame);
    const called = callee(frame);
    const given = args.args(frame);
    const kwargs = (args.kwargs(frame) ?? new Map<string, PyValue>()).set('caller', caller);
    writeText(frame, callValue(frame.runtime, called, given, kwargs));
    return NORMAL;
  };
}

function compileGeneration(node: GenerationNode, place: Place): Execute {
  const make = compileMacro(node, place);
  return (frame) => {
    const { output } = frame.runtime;
    const start = output.text.length;
    writeText(frame, make(frame).call(frame.runtime, [], null));
    output.mark(start, output.text.length);
    return NORMAL;
  };
}

function compileWith(node: Extract<Statement, { kind: 'with' }>, outer: Place): Execute {
  const place = outer.inner();
  place.symbols.visitAll([...node.targets, ...node.body]);
  const assigns = node.targets.map((target) => compileTarget(target, place));
  const values = node.values.map((value) => compileExpression(value, outer));
  const body = compileBody(node.body, place);
  const [enter, leave] = [place.enter(), place.leave()];
  return (frame) => {
    frame.runtime.line = node.line;
    enter(frame);
    values.forEach((value, i) => assigns[i]?.(frame, value(frame)));
    const signal = body(frame);
    if (signal === NORMAL) leave(frame);
    return signal;
  };
}

function compileAutoescape(
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
  const body = compileBody(node.body, place);
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

function compileBlockCall(node: BlockNode, place: Place): Execute {
  const { blocks } = place.parts;
  const stores = node.isScoped ? [...place.symbols.visibleStores()] : undefined;
  const reads = stores?.map(([name, ref]) => ({ name, hops: place.hopsTo(ref), ref }));
  return (frame) => {
    const block = blocks.get(node.name);
    if (block?.isRequired === true)
      throw pythonError('TemplateRuntimeError', `Required block '${node.name}' not found`);
    block?.run(frame.withContext(reads === undefined ? undefined : localContext(frame, reads)));
    return NORMAL;
  };
}

interface LocalRead {
  readonly name: string;
  readonly hops: number;
  readonly ref: { readonly index: number };
}

function localContext(frame: Frame, reads: readonly LocalRead[]): Map<string, PyValue> {
  const found = new Map<string, PyValue>();
  for (const { name, hops, ref } of reads) {
    const value = frame.at(hops)?.slots[ref.index];
    if (value !== undefined && value !== MISSING) found.set(name, value);
  }
  return found;
}
