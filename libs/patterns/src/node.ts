import { at } from '@emloc/checked';

import { type CodePointSet } from './unicode/code-point-set.js';

export type Assertion =
  | 'line start'
  | 'line end'
  | 'text start'
  | 'text end'
  | 'text end or last line end'
  | 'word border'
  | 'no word border';

/** A parsed pattern. Captures are not kept: only where a match begins and ends is asked for. */
export type PatternNode =
  | { readonly kind: 'set'; readonly set: CodePointSet }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly branches: readonly PatternNode[] }
  | {
      readonly kind: 'repeat';
      readonly body: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly greedy: boolean;
    }
  | { readonly kind: 'atomic'; readonly body: PatternNode }
  | {
      readonly kind: 'look';
      readonly ahead: boolean;
      readonly negative: boolean;
      readonly body: PatternNode;
    }
  | { readonly kind: 'assert'; readonly assertion: Assertion };

/** A pattern that is wrong, or that has something this engine does not have. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** Whether it can match without taking a character. */
export function isNullable(node: PatternNode): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'sequence':
      return node.parts.every(isNullable);
    case 'choice':
      return node.branches.some(isNullable);
    case 'repeat':
      return node.min === 0 || isNullable(node.body);
    case 'atomic':
      return isNullable(node.body);
    case 'look':
    case 'assert':
      return true;
  }
}

/**
 * How many code points it takes.
 * @throws PatternError where that is not one number
 */
export function fixedLength(node: PatternNode): number {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'sequence':
      return node.parts.reduce((sum, part) => sum + fixedLength(part), 0);
    case 'choice': {
      const lengths = node.branches.map(fixedLength);
      if (new Set(lengths).size > 1) throw variableLength();
      return at(lengths, 0);
    }
    case 'repeat':
      if (node.min !== node.max) throw variableLength();
      return node.min * fixedLength(node.body);
    case 'atomic':
      return fixedLength(node.body);
    case 'look':
    case 'assert':
      return 0;
  }
}

function variableLength(): PatternError {
  return new PatternError('a look behind of more than one length is not supported');
}
