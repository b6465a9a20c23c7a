import { type Arguments, type Expression, type OutputPart, type Statement } from './nodes.js';

export type Node = Statement | OutputPart;

/** Nodes directly below, in the order in which Jinja visits them. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'for':
      return compact(node.target, node.iterable, ...node.body, ...node.otherwise, node.test);
    case 'if':
      return [node.test, ...node.body, ...node.elifs, ...node.otherwise];
    case 'macro':
    case 'generation':
      return [...node.params, ...node.defaults, ...node.body];
    case 'callblock':
      return [node.call, ...node.params, ...node.defaults, ...node.body];
    case 'filterblock':
      return [...node.body, node.filter];
    case 'with':
      return [...node.targets, ...node.values, ...node.body];
    case 'block':
      return node.body;
    case 'output':
      return node.parts;
    case 'assign':
      return [node.target, node.value];
    case 'assignblock':
      return compact(node.target, node.filter, ...node.body);
    case 'autoescape':
      return [node.value, ...node.body];
    case 'load':
      return [node.template];
    case 'break':
    case 'continue':
    case 'data':
      return [];
    default:
      return partsOf(node);
  }
}

function partsOf(node: Expression): readonly Node[] {
  switch (node.kind) {
    case 'call':
    case 'filter':
    case 'test':
      return compact(node.node, ...argumentsOf(node));
    case 'tuple':
    case 'list':
      return node.items;
    case 'dict':
      return node.items.flatMap(({ key, value }) => [key, value]);
    case 'binary':
    case 'and':
    case 'or':
      return [node.left, node.right];
    case 'not':
    case 'neg':
    case 'pos':
    case 'getattr':
      return [node.node];
    case 'concat':
      return node.nodes;
    case 'getitem':
      return [node.node, node.item];
    case 'condition':
      return compact(node.test, node.then, node.otherwise);
    case 'compare':
      return [node.node, ...node.operands.map((operand) => operand.node)];
    case 'slice':
      return compact(node.start, node.stop, node.step);
    case 'const':
    case 'name':
    case 'nsref':
      return [];
  }
}

function argumentsOf({ args, kwargs, dynamicArgs, dynamicKwargs }: Arguments): Node[] {
  return compact(...args, ...kwargs.map(({ value }) => value), dynamicArgs, dynamicKwargs);
}

function compact(...nodes: (Node | undefined)[]): Node[] {
  return nodes.filter((node) => node !== undefined);
}

/** Visits nodes and all below them; `enter` says whether to go further down. */
export function walk(nodes: readonly Node[], enter: (node: Node) => boolean): void {
  for (const node of nodes) if (enter(node)) walk(childrenOf(node), enter);
}

/** Which of the names are read before they are assigned. Blocks have their own variables. */
export function findUndeclared(nodes: readonly Node[], names: readonly string[]): Set<string> {
  const open = new Set(names);
  const undeclared = new Set<string>();
  walk(nodes, (node) => {
    if (node.kind === 'name') {
      if (node.context === 'load' && open.has(node.name)) undeclared.add(node.name);
      else open.delete(node.name);
    }
    return node.kind !== 'block';
  });
  return undeclared;
}
