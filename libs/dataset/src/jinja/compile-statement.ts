import { callValue, compileArguments } from './compile-call.js';
import {
  BREAK,
  CONTINUE,
  NORMAL,
  type Evaluate,
  type Execute,
  type Place,
} from './compile-context.js';
import { compileExpression } from './compile-expression.js';
import { compileFor } from './compile-loop.js';
import { compileMacro } from './compile-macro.js';
import {
  compileAssignBlock,
  compileAutoescape,
  compileExport,
  compileFilterBlock,
  compileWith,
  writeText,
} from './compile-scope.js';
import { compileNamespaceCheck, compileTarget } from './compile-target.js';
import { pythonError, TemplateSyntaxError, typeError } from './errors.js';
import {
  type BlockNode,
  type CallBlockNode,
  type GenerationNode,
  type IfNode,
  type OutputPart,
  type Statement,
  type Target,
} from './nodes.js';
import { MISSING, type Frame } from './render-state.js';
import { escape, str } from './texts.js';
import { isTruthy } from './types.js';
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
