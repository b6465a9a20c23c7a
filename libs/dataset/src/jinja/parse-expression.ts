import { type CompareOperator, type Expression } from './nodes.js';
import { type BinaryOperator } from './operators.js';
import { PostfixParser } from './parse-postfix.js';

const comparisons = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Reads expressions with the precedence of Jinja. */
export class ExpressionParser extends PostfixParser {
  parseExpression(withCondition = true): Expression {
    return this.deeper(() => (withCondition ? this.#condition() : this.#or()));
  }

  #condition(): Expression {
    let line = this.stream.current.line;
    let then = this.#or();
    for (let count = 0; this.stream.skipIfName('if'); count++) {
      this.assertChain(count);
      const test = this.#or();
      const otherwise = this.stream.skipIfName('else')
        ? this.deeper(() => this.#condition())
        : undefined;
      then = { kind: 'condition', test, then, otherwise, line };
      line = this.stream.current.line;
    }
    return then;
  }

  #or(): Expression {
    let left = this.#and();
    for (let count = 0; this.stream.isName('or'); count++) {
      this.assertChain(count);
      const { line } = this.stream.next();
      left = { kind: 'or', left, right: this.#and(), line };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let count = 0; this.stream.isName('and'); count++) {
      this.assertChain(count);
      const { line } = this.stream.next();
      left = { kind: 'and', left, right: this.#not(), line };
    }
    return left;
  }

  #not(): Expression {
    if (!this.stream.isName('not')) return this.#compare();
    const { line } = this.stream.next();
    return { kind: 'not', node: this.deeper(() => this.#not()), line };
  }

  #compare(): Expression {
    const { line } = this.stream.current;
    const node = this.#sum();
    const operands: { operator: CompareOperator; node: Expression }[] = [];
    for (;;) {
      const operator = this.#comparison();
      if (operator === undefined) break;
      operands.push({ operator, node: this.#sum() });
    }
    return operands.length === 0 ? node : { kind: 'compare', node, operands, line };
  }

  #comparison(): CompareOperator | undefined {
    const { type, text } = this.stream.current;
    if (type === 'operator' && comparisons.has(text)) {
      this.stream.next();
      return text as CompareOperator;
    }
    if (this.stream.skipIfName('in')) return 'in';
    const next = this.stream.look();
    if (!this.stream.isName('not') || next.type !== 'name' || next.text !== 'in') return undefined;
    this.stream.skip(2);
    return 'not in';
  }

  #chain(operators: readonly string[], parse: () => Expression): Expression {
    let left = parse();
    for (let count = 0; this.stream.isOperator(...operators); count++) {
      this.assertChain(count);
      const { text, line } = this.stream.next();
      left = { kind: 'binary', operator: text as BinaryOperator, left, right: parse(), line };
    }
    return left;
  }

  #sum(): Expression {
    return this.#chain(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const { line } = this.stream.current;
    const first = this.#product();
    if (!this.stream.isOperator('~')) return first;
    const nodes = [first];
    while (this.stream.skipIfOperator('~')) nodes.push(this.#product());
    return { kind: 'concat', nodes, line };
  }

  #product(): Expression {
    return this.#chain(['*', '/', '//', '%'], () => this.#power());
  }

  #power(): Expression {
    return this.#chain(['**'], () => this.#unary(true));
  }

  #unary(withFilter: boolean): Expression {
    const node = this.postfix(this.#signed());
    return withFilter ? this.filters(node) : node;
  }

  #signed(): Expression {
    if (!this.stream.isOperator('-', '+')) return this.parsePrimary();
    const { text, line } = this.stream.next();
    const node = this.deeper(() => this.#unary(false));
    return { kind: text === '-' ? 'neg' : 'pos', node, line };
  }
}
