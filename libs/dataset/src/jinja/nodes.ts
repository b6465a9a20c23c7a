import { type BinaryOperator } from './operators.js';
import { type PyValue } from './values.js';

export interface NameNode {
  readonly kind: 'name';
  readonly name: string;
  /** Loaded, stored, or a parameter. */
  context: 'load' | 'store' | 'param';
  readonly line: number;
}

export interface NamespaceNode {
  readonly kind: 'nsref';
  readonly name: string;
  readonly attribute: string;
  readonly line: number;
}

export interface TupleNode {
  readonly kind: 'tuple';
  readonly items: readonly Expression[];
  readonly line: number;
}

export interface Arguments {
  readonly args: readonly Expression[];
  readonly kwargs: readonly { readonly name: string; readonly value: Expression }[];
  readonly dynamicArgs: Expression | undefined;
  readonly dynamicKwargs: Expression | undefined;
}

export interface CallNode extends Arguments {
  readonly kind: 'call';
  readonly node: Expression;
  readonly line: number;
}

export interface FilterNode extends Arguments {
  readonly kind: 'filter';
  readonly name: string;
  /** Absent in a filter block: its body. */
  readonly node: Expression | undefined;
  readonly line: number;
}

export interface TestNode extends Arguments {
  readonly kind: 'test';
  readonly name: string;
  readonly node: Expression;
  readonly line: number;
}

export interface SliceNode {
  readonly kind: 'slice';
  readonly start: Expression | undefined;
  readonly stop: Expression | undefined;
  readonly step: Expression | undefined;
  readonly line: number;
}

export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export interface CompareNode {
  readonly kind: 'compare';
  readonly node: Expression;
  readonly operands: readonly { readonly operator: CompareOperator; readonly node: Expression }[];
  readonly line: number;
}

export type Expression =
  | NameNode
  | NamespaceNode
  | TupleNode
  | CallNode
  | FilterNode
  | TestNode
  | SliceNode
  | CompareNode
  | { readonly kind: 'const'; readonly value: PyValue; readonly line: number }
  | { readonly kind: 'list'; readonly items: readonly Expression[]; readonly line: number }
  | {
      readonly kind: 'dict';
      readonly items: readonly { readonly key: Expression; readonly value: Expression }[];
      readonly line: number;
    }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly line: number;
    }
  | {
      readonly kind: 'and' | 'or';
      readonly left: Expression;
      readonly right: Expression;
      readonly line: number;
    }
  | { readonly kind: 'not' | 'neg' | 'pos'; readonly node: Expression; readonly line: number }
  | { readonly kind: 'concat'; readonly nodes: readonly Expression[]; readonly line: number }
  | {
      readonly kind: 'getattr';
      readonly node: Expression;
      readonly attribute: string;
      readonly line: number;
    }
  | {
      readonly kind: 'getitem';
      readonly node: Expression;
      readonly item: Expression;
      readonly line: number;
    }
  | {
      readonly kind: 'condition';
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | undefined;
      readonly line: number;
    };

export type Target = NameNode | NamespaceNode | TupleNode;

export interface MacroSignature {
  readonly params: readonly NameNode[];
  /** Of the last parameters. */
  readonly defaults: readonly Expression[];
}

interface MacroNode extends MacroSignature {
  readonly kind: 'macro';
  readonly name: string;
  readonly body: readonly Statement[];
  readonly line: number;
}

export interface CallBlockNode extends MacroSignature {
  readonly kind: 'callblock';
  readonly call: CallNode;
  readonly body: readonly Statement[];
  readonly line: number;
}

/** `{% generation %}`: a call block whose call writes the body and marks it. */
export interface GenerationNode extends MacroSignature {
  readonly kind: 'generation';
  readonly body: readonly Statement[];
  readonly line: number;
}

export interface ForNode {
  readonly kind: 'for';
  readonly target: Target;
  readonly iterable: Expression;
  readonly test: Expression | undefined;
  readonly isRecursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
  readonly line: number;
}

export interface IfNode {
  readonly kind: 'if';
  readonly test: Expression;
  readonly body: readonly Statement[];
  readonly elifs: readonly IfNode[];
  readonly otherwise: readonly Statement[];
  readonly line: number;
}

export interface BlockNode {
  readonly kind: 'block';
  readonly name: string;
  readonly isScoped: boolean;
  readonly isRequired: boolean;
  readonly body: readonly Statement[];
  readonly line: number;
}

export interface AssignBlockNode {
  readonly kind: 'assignblock';
  readonly target: Target;
  readonly filter: FilterNode | undefined;
  readonly body: readonly Statement[];
  readonly line: number;
}

export type OutputPart = Expression | { readonly kind: 'data'; readonly text: string };

export type Statement =
  | MacroNode
  | CallBlockNode
  | GenerationNode
  | ForNode
  | IfNode
  | BlockNode
  | AssignBlockNode
  | { readonly kind: 'output'; readonly parts: readonly OutputPart[]; readonly line: number }
  | {
      readonly kind: 'assign';
      readonly target: Target;
      readonly value: Expression;
      readonly line: number;
    }
  | {
      readonly kind: 'filterblock';
      readonly filter: FilterNode;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | {
      readonly kind: 'with';
      readonly targets: readonly Target[];
      readonly values: readonly Expression[];
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | {
      readonly kind: 'autoescape';
      readonly value: Expression;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | { readonly kind: 'break' | 'continue'; readonly line: number }
  | {
      /** extends, include, import and from: there is nothing to load from. */
      readonly kind: 'load';
      readonly tag: string;
      readonly template: Expression;
      /** Names that it would set. */
      readonly names: readonly string[];
      readonly line: number;
    };
