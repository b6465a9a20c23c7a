import { getAttribute, getItem } from './attributes.js';
import { callValue, compileArguments, compileItems, compileMethodCall } from './compile-call.js';
import { type Evaluate, type Place } from './compile-context.js';
import { isEqual, isOrdered } from './equality.js';
import { pythonError, TemplateSyntaxError } from './errors.js';
import { filters } from './filters.js';
import {
  type CallNode,
  type CompareNode,
  type CompareOperator,
  type Expression,
  type FilterNode,
  type TestNode,
} from './nodes.js';
import { binaryOperations, isIn, negate, plus } from './operators.js';
import { type Frame } from './render-state.js';
import { Undefined } from './scalars.js';
import { slice } from './slices.js';
import { tests } from './tests.js';
import { concatTexts, isSafe } from './text-values.js';
import { escape, softStr, str } from './texts.js';
import { isTruthy } from './types.js';
import { PyDict, PyTuple, type PyValue, type Runtime } from './values.js';

/** @throws TemplateSyntaxError for filters and tests that are not there */
export function compileExpression(node: Expression, place: Place): Evaluate {
  switch (node.kind) {
    case 'const': {
      const { value } = node;
      return () => value;
    }
    case 'name':
      return place.read(node.name, node.line);
    case 'getattr': {
      const value = compileExpression(node.node, place);
      const { attribute } = node;
      return (frame) => getAttribute(frame.runtime, value(frame), attribute);
    }
    case 'getitem':
      return compileItem(node.node, node.item, place);
    case 'call':
      return compileCall(node, place);
    case 'filter':
      return compileFilter(node, place);
    case 'test':
      return compileTest(node, place);
    case 'condition':
      return compileCondition(node, place);
    default:
      return compileOperator(node, place);
  }
}

type OperatorNode = Exclude<
  Expression,
  { kind: 'const' | 'name' | 'getattr' | 'getitem' | 'call' | 'filter' | 'test' | 'condition' }
>;

function compileOperator(node: OperatorNode, place: Place): Evaluate {
  const compile = (inner: Expression): Evaluate => compileExpression(inner, place);
  switch (node.kind) {
    case 'binary': {
      const [left, right] = [compile(node.left), compile(node.right)];
      const operate = binaryOperations[node.operator];
      return (frame) => operate(frame.runtime, left(frame), right(frame));
    }
    case 'and':
    case 'or':
      return compileLogic(node.kind, compile(node.left), compile(node.right));
    case 'not': {
      const value = compile(node.node);
      return (frame) => !isTruthy(value(frame));
    }
    case 'neg':
    case 'pos': {
      const value = compile(node.node);
      const operate = node.kind === 'neg' ? negate : plus;
      return (frame) => operate(value(frame));
    }
    case 'compare':
      return compileCompare(node, place);
    case 'concat':
      return compileConcat(node.nodes.map(compile), place);
    case 'slice':
      throw new TemplateSyntaxError('invalid syntax', node.line);
    default:
      return compileLiteral(node, compile);
  }
}

function compileLogic(kind: 'and' | 'or', left: Evaluate, right: Evaluate): Evaluate {
  if (kind === 'and')
    return (frame) => {
      const value = left(frame);
      return isTruthy(value) ? right(frame) : value;
    };
  return (frame) => {
    const value = left(frame);
    return isTruthy(value) ? value : right(frame);
  };
}

type LiteralNode = Extract<Expression, { kind: 'list' | 'tuple' | 'dict' | 'nsref' }>;

function compileLiteral(node: LiteralNode, compile: (node: Expression) => Evaluate): Evaluate {
  if (node.kind === 'nsref') throw new TemplateSyntaxError('invalid syntax', node.line);
  if (node.kind === 'dict') {
    const entries = node.items.map(({ key, value }) => ({
      key: compile(key),
      value: compile(value),
    }));
    return (frame) => {
      const dict = new PyDict();
      frame.runtime.budget.entries(entries.length);
      for (const { key, value } of entries) dict.set(key(frame), value(frame));
      return dict;
    };
  }
  const items = compileItems(node.items.map(compile));
  const { length } = node.items;
  const make = (frame: Frame): PyValue[] => {
    frame.runtime.budget.items(length);
    return items(frame);
  };
  return node.kind === 'list' ? make : (frame) => new PyTuple(make(frame));
}

function compileItem(node: Expression, item: Expression, place: Place): Evaluate {
  const value = compileExpression(node, place);
  if (item.kind !== 'slice') {
    const key = compileExpression(item, place);
    return (frame) => getItem(frame.runtime, value(frame), key(frame));
  }
  const bound = (part: Expression | undefined): Evaluate =>
    part === undefined ? () => null : compileExpression(part, place);
  const [start, stop, step] = [bound(item.start), bound(item.stop), bound(item.step)];
  return (frame) =>
    slice(frame.runtime, value(frame), {
      start: start(frame),
      stop: stop(frame),
      step: step(frame),
    });
}

type Comparison = (runtime: Runtime, a: PyValue, b: PyValue) => boolean;

const comparisons: Readonly<Record<CompareOperator, Comparison>> = {
  '==': isEqual,
  '!=': (runtime, a, b) => !isEqual(runtime, a, b),
  '<': (runtime, a, b) => isOrdered(runtime, '<', a, b),
  '<=': (runtime, a, b) => isOrdered(runtime, '<=', a, b),
  '>': (runtime, a, b) => isOrdered(runtime, '>', a, b),
  '>=': (runtime, a, b) => isOrdered(runtime, '>=', a, b),
  in: isIn,
  'not in': (runtime, a, b) => !isIn(runtime, a, b),
};

function compileCompare(node: CompareNode, place: Place): Evaluate {
  const first = compileExpression(node.node, place);
  const operands = node.operands.map((operand) => ({
    holds: comparisons[operand.operator],
    value: compileExpression(operand.node, place),
  }));
  const [only, second] = operands;
  if (only !== undefined && second === undefined)
    return (frame) => only.holds(frame.runtime, first(frame), only.value(frame));
  return (frame) => {
    let left = first(frame);
    for (const { holds, value } of operands) {
      const right = value(frame);
      if (!holds(frame.runtime, left, right)) return false;
      left = right;
    }
    return true;
  };
}

function compileConcat(nodes: readonly Evaluate[], place: Place): Evaluate {
  const { isOn, isVolatile } = place.parts.escaping;
  if (isOn && !isVolatile) return (frame) => joinMarkup(frame, nodes);
  return (frame) =>
    concatTexts(
      frame.runtime,
      nodes.map((node) => str(frame.runtime, node(frame))),
    );
}

/** With Markup among them, all is escaped. */
function joinMarkup(frame: Frame, nodes: readonly Evaluate[]): PyValue {
  const { runtime } = frame;
  const texts = nodes.map((node) => node(frame)).map((value) => softStr(runtime, value));
  if (!texts.some(isSafe)) return concatTexts(runtime, texts);
  return concatTexts(
    runtime,
    texts.map((text) => escape(runtime, text)),
    true,
  );
}

function compileCondition(
  node: Extract<Expression, { kind: 'condition' }>,
  outer: Place,
): Evaluate {
  const place = outer.soft();
  const test = compileExpression(node.test, place);
  const then = compileExpression(node.then, place);
  const otherwise =
    node.otherwise === undefined
      ? () => missingElse(node.line)
      : compileExpression(node.otherwise, place);
  return (frame) => (isTruthy(test(frame)) ? then(frame) : otherwise(frame));
}

function missingElse(line: number): Undefined {
  return new Undefined(
    `the inline if-expression on line ${line} evaluated to false and no else section was defined.`,
  );
}

function compileCall(node: CallNode, place: Place): Evaluate {
  const args = compileArguments(node, (inner) => compileExpression(inner, place));
  const callee = node.node;
  if (callee.kind === 'getattr' && !callee.attribute.startsWith('_'))
    return compileMethodCall(compileExpression(callee.node, place), callee.attribute, args);
  const evaluate = compileExpression(callee, place);
  return (frame) => callValue(frame.runtime, evaluate(frame), args.args(frame), args.kwargs(frame));
}

/** `body`: what a filter block is applied to. */
export function compileFilter(node: FilterNode, place: Place, body?: Evaluate): Evaluate {
  const filter = filters.get(node.name);
  const input =
    node.node === undefined
      ? (body ?? (() => null))
      : node.node.kind === 'filter'
        ? compileFilter(node.node, place, body)
        : compileExpression(node.node, place);
  const { args, kwargs } = compileArguments(node, (inner) => compileExpression(inner, place));
  if (filter === undefined) return missingFunction('filter', node, place);
  return (frame) => {
    const value = input(frame);
    const all = args(frame);
    all.unshift(value);
    return filter(frame.runtime, all, kwargs(frame));
  };
}

function compileTest(node: TestNode, place: Place): Evaluate {
  const test = tests.get(node.name);
  const input = compileExpression(node.node, place);
  const { args, kwargs } = compileArguments(node, (inner) => compileExpression(inner, place));
  if (test === undefined) return missingFunction('test', node, place);
  return (frame) => {
    const value = input(frame);
    const all = args(frame);
    all.unshift(value);
    return test(frame.runtime, all, kwargs(frame));
  };
}

function missingFunction(
  kind: 'filter' | 'test',
  node: FilterNode | TestNode,
  place: Place,
): Evaluate {
  if (!place.isSoft) throw new TemplateSyntaxError(`No ${kind} named '${node.name}'.`, node.line);
  return () => {
    throw pythonError('TemplateRuntimeError', `No ${kind} named '${node.name}' found.`);
  };
}
