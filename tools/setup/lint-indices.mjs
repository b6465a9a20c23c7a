import ts from 'typescript';

/**
 * @typedef {import('@typescript-eslint/utils').TSESTree.Node} Node
 * @typedef {import('@typescript-eslint/utils').TSESTree.MemberExpression} MemberExpression
 * @typedef {[{ numericCasts?: boolean }?]} Options
 */

/** Built-in lists whose elements may well be absent: groups that took no part in a match. */
const matches = ['RegExpMatchArray', 'RegExpExecArray'];

/**
 * An index that may be wrong has to throw: refuses `??`, `||`, `?.`, `as` and defaults of patterns
 * on what an index finds, where they would let a wrong index go on with something else. `at`,
 * `last` and `get` of @emloc/checked throw. Where absence is meant, it is written so: a literal
 * `.at(0)` or `.at(-1)`, a `Map`'s `get`, or a record, with `??` or `?.`.
 * @type {import('@typescript-eslint/utils').TSESLint.RuleModule<'hidden' | 'cast', Options>}
 */
export const checkedIndex = {
  meta: {
    type: 'problem',
    schema: [
      {
        type: 'object',
        // For inner loops: `list[i] as number` stays.
        properties: { numericCasts: { type: 'boolean' } },
        additionalProperties: false,
      },
    ],
    messages: {
      hidden: 'A wrong index goes on with something else here: {{ instead }}.',
      cast: 'A wrong index is cast away here: {{ instead }}.',
    },
  },
  create(context) {
    const { numericCasts = false } = context.options[0] ?? {};
    const { program, esTreeNodeToTSNodeMap: nodes } = context.sourceCode.parserServices ?? {};
    if (!program || !nodes) return {};
    const checker = program.getTypeChecker();
    /** @param {Node} node */
    const typeOf = (node) => checker.getTypeAtLocation(nodes.get(node));

    /**
     * @param {Node} node
     * @returns {'list' | 'match' | 'record' | 'map' | 'end' | null} what an index is
     * looked up in; null where `node` is none, or cannot be absent
     */
    const lookedUpIn = (node) => {
      if (node.type === 'ChainExpression') return lookedUpIn(node.expression);
      if (node.type === 'TSNonNullExpression') return null;
      if (!mayBeUndefined(typeOf(node))) return null;
      if (node.type === 'MemberExpression' && node.computed) return indexed(node);
      if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return null;
      const { object, property } = node.callee;
      if (property.type !== 'Identifier') return null;
      const [argument] = node.arguments;
      if (property.name === 'at' && isList(typeOf(object)))
        return argument && isLiteral(argument) ? 'end' : 'list';
      return property.name === 'get' && isMap(typeOf(object)) ? 'map' : null;
    };

    /** @param {MemberExpression} node */
    const indexed = ({ object, property }) => {
      const type = checker.getNonNullableType(typeOf(object));
      const key = typeOf(property);
      const info = isNumeric(key)
        ? (checker.getIndexInfoOfType(type, ts.IndexKind.Number) ??
          checker.getIndexInfoOfType(type, ts.IndexKind.String))
        : checker.getIndexInfoOfType(type, ts.IndexKind.String);
      if (!info || mayBeUndefined(info.type) || isElementOf(type, key)) return null;
      if (!isNumeric(key)) return 'record';
      if (matches.includes(nameOf(type))) return 'match';
      return isList(type) ? 'list' : 'record';
    };

    /** @param {ts.Type} type */
    const isList = (type) =>
      checker.getIndexInfoOfType(checker.getNonNullableType(type), ts.IndexKind.Number) !==
        undefined &&
      checker.getPropertyOfType(checker.getNonNullableType(type), 'length') !== undefined;

    /** Whether a tuple has this element. @param {ts.Type} type @param {ts.Type} key */
    const isElementOf = (type, key) =>
      key.isNumberLiteral() && checker.getPropertyOfType(type, String(key.value)) !== undefined;

    /** @param {ts.Type} type */
    const hasOptionalElements = (type) =>
      checker.isTupleType(type) || matches.includes(nameOf(type));

    /** @param {Node} node */
    const refuseFallback = (node) => {
      const found = lookedUpIn(node);
      if (found === 'list')
        context.report({
          node,
          messageId: 'hidden',
          data: { instead: 'use at(list, index), or a literal .at(0) where absence is meant' },
        });
    };

    return {
      LogicalExpression({ operator, left }) {
        if (operator !== '&&') refuseFallback(left);
      },
      AssignmentExpression({ operator, left }) {
        if (operator === '??=' || operator === '||=') refuseFallback(left);
      },
      MemberExpression({ optional, object }) {
        if (optional) refuseFallback(object);
      },
      CallExpression({ optional, callee }) {
        if (optional) refuseFallback(callee);
      },
      ArrayPattern(node) {
        if (partsOf(checker.getNonNullableType(typeOf(node))).every(hasOptionalElements)) return;
        for (const element of node.elements) {
          if (element?.type !== 'AssignmentPattern') continue;
          context.report({
            node: element,
            messageId: 'hidden',
            data: { instead: 'use at(list, index)' },
          });
        }
      },
      TSAsExpression({ expression, typeAnnotation }) {
        const found = lookedUpIn(expression);
        if (found === null || mayBeUndefined(typeOf(typeAnnotation))) return;
        const element = checker.getNonNullableType(typeOf(expression));
        if (numericCasts && found === 'list' && isNumeric(element)) return;
        context.report({
          node: expression,
          messageId: 'cast',
          data: {
            instead:
              found === 'map'
                ? 'use get(map, key)'
                : found === 'record'
                  ? 'check that it is there'
                  : 'use at(list, index) or last(list)',
          },
        });
      },
    };
  },
};

/** @param {ts.Type} type */
function mayBeUndefined(type) {
  return partsOf(type).some(
    ({ flags }) => (flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)) !== 0,
  );
}

/** @param {ts.Type} type */
function isNumeric(type) {
  return partsOf(type).every(({ flags }) => (flags & ts.TypeFlags.NumberLike) !== 0);
}

/** @param {ts.Type} type */
function isMap(type) {
  return partsOf(type).some((part) => ['Map', 'ReadonlyMap', 'WeakMap'].includes(nameOf(part)));
}

/** @param {ts.Type} type */
function partsOf(type) {
  return type.isUnion() ? type.types : [type];
}

/** @param {ts.Type} type */
function nameOf(type) {
  return type.getSymbol()?.getName() ?? '';
}

/**
 * @param {Node} node
 * @returns {boolean}
 */
function isLiteral(node) {
  return node.type === 'Literal' || (node.type === 'UnaryExpression' && isLiteral(node.argument));
}
