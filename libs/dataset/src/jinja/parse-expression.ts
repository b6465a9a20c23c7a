import {
  type Arguments,
  type CompareOperator,
  type Expression,
  type FilterNode,
  type SliceNode,
} from './nodes.js';
import { type BinaryOperator } from './operators.js';
import { describe, type TokenStream } from './token-stream.js';

/** Deeper expressions are refused; Python's compiler stops there, too. */
const MAX_DEPTH = 200;

const comparisons = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Reads expressions with the precedence of Jinja. */
export class ExpressionParser {
  readonly stream: TokenStream;
  #depth = 0;

  constructor(stream: TokenStream) {
    this.stream = stream;
  }

  /** One level deeper while `parse` runs. */
  protected deeper<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.stream.fail(`expression is more than ${MAX_DEPTH} deep`);
    const result = parse();
    this.#depth--;
    return result;
  }

  parseExpression(withCondition = true): Expression {
    return this.deeper(() => (withCondition ? this.#condition() : this.#or()));
  }

  #condition(): Expression {
    let line = this.stream.current.line;
    let then = this.#or();
    for (let count = 0; this.stream.skipIfName('if'); count++) {
      this.#assertChain(count);
      const test = this.#or();
      const otherwise = this.stream.skipIfName('else')
        ? this.deeper(() => this.#condition())
        : undefined;
      then = { kind: 'condition', test, then, otherwise, line };
      line = this.stream.current.line;
    }
    return then;
  }

  /** Operators of one level nest to the left. */
  #assertChain(count: number): void {
    if (count >= MAX_DEPTH) this.stream.fail(`expression has more than ${MAX_DEPTH} operators`);
  }

  #or(): Expression {
    let left = this.#and();
    for (let count = 0; this.stream.isName('or'); count++) {
      this.#assertChain(count);
      const { line } = this.stream.next();
      left = { kind: 'or', left, right: this.#and(), line };
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let count = 0; this.stream.isName('and'); count++) {
      this.#assertChain(count);
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
      this.#assertChain(count);
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
    const node = this.#postfix(this.#signed());
    return withFilter ? this.#filters(node) : node;
  }

  #signed(): Expression {
    if (!this.stream.isOperator('-', '+')) return this.parsePrimary();
    const { text, line } = this.stream.next();
    const node = this.deeper(() => this.#unary(false));
    return { kind: text === '-' ? 'neg' : 'pos', node, line };
  }

  parsePrimary(): Expression {
    const token = this.stream.current;
    const { line } = token;
    if (token.type === 'name') return this.#nameOrConstant();
    if (token.type === 'string') return { kind: 'const', value: this.#strings(), line };
    if (token.type === 'integer' || token.type === 'float') {
      this.stream.next();
      return { kind: 'const', value: token.value, line };
    }
    if (this.stream.isOperator('[')) return this.#list();
    if (this.stream.isOperator('{')) return this.#dict();
    if (!this.stream.skipIfOperator('(')) this.stream.fail(`unexpected '${describe(token)}'`);
    const node = this.parseTuple({ isParenthesized: true });
    this.stream.expect('operator', ')');
    return node;
  }

  #nameOrConstant(): Expression {
    const { text, line } = this.stream.next();
    if (text === 'true' || text === 'True') return { kind: 'const', value: true, line };
    if (text === 'false' || text === 'False') return { kind: 'const', value: false, line };
    if (text === 'none' || text === 'None') return { kind: 'const', value: null, line };
    return { kind: 'name', name: text, context: 'load', line };
  }

  /** Neighbouring strings are one. */
  #strings(): string {
    let text = '';
    while (this.stream.is('string')) text += this.stream.next().text;
    return text;
  }

  parseTuple(options: {
    isParenthesized?: boolean;
    withCondition?: boolean;
    endName?: string;
    parse?: () => Expression;
  }): Expression {
    const { line } = this.stream.current;
    const parse = options.parse ?? (() => this.parseExpression(options.withCondition ?? true));
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.stream.expect('operator', ',');
      if (this.#isTupleEnd(options.endName)) break;
      items.push(parse());
      if (!this.stream.isOperator(',')) break;
      isTuple = true;
    }
    const [only] = items;
    if (!isTuple && only !== undefined) return only;
    if (!isTuple && options.isParenthesized !== true)
      this.stream.fail(`Expected an expression, got '${describe(this.stream.current)}'`);
    return { kind: 'tuple', items, line };
  }

  #isTupleEnd(endName: string | undefined): boolean {
    if (this.stream.is('variable_end') || this.stream.is('block_end')) return true;
    if (this.stream.isOperator(')')) return true;
    return endName !== undefined && this.stream.isName(endName);
  }

  /** Up to a closing bracket, with commas between and perhaps at the end. */
  #items(close: string, parse: () => void): void {
    for (let isFirst = true; !this.stream.isOperator(close); isFirst = false) {
      if (!isFirst) this.stream.expect('operator', ',');
      if (this.stream.isOperator(close)) break;
      parse();
    }
    this.stream.expect('operator', close);
  }

  #list(): Expression {
    const { line } = this.stream.next();
    const items: Expression[] = [];
    this.#items(']', () => items.push(this.parseExpression()));
    return { kind: 'list', items, line };
  }

  #dict(): Expression {
    const { line } = this.stream.next();
    const items: { key: Expression; value: Expression }[] = [];
    this.#items('}', () => {
      const key = this.parseExpression();
      this.stream.expect('operator', ':');
      items.push({ key, value: this.parseExpression() });
    });
    return { kind: 'dict', items, line };
  }

  #postfix(start: Expression): Expression {
    let node = start;
    for (let count = 0; ; count++) {
      this.#assertChain(count);
      if (this.stream.isOperator('.', '[')) node = this.#subscript(node);
      else if (this.stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  #filters(start: Expression): Expression {
    let node = start;
    for (let count = 0; ; count++) {
      this.#assertChain(count);
      if (this.stream.isOperator('|')) node = this.#filter(node);
      else if (this.stream.isName('is')) node = this.#test(node);
      else if (this.stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  #subscript(node: Expression): Expression {
    const { text, line } = this.stream.next();
    if (text === '[') return { kind: 'getitem', node, item: this.#subscribed(line), line };
    const attribute = this.stream.next();
    if (attribute.type === 'name')
      return { kind: 'getattr', node, attribute: attribute.text, line };
    if (attribute.type !== 'integer') this.stream.fail('expected name or number', attribute.line);
    return { kind: 'getitem', node, item: { kind: 'const', value: attribute.value, line }, line };
  }

  #subscribed(line: number): Expression {
    const items: Expression[] = [];
    while (!this.stream.isOperator(']')) {
      if (items.length > 0) this.stream.expect('operator', ',');
      items.push(this.#index());
    }
    this.stream.expect('operator', ']');
    const [only] = items;
    if (items.length === 1 && only !== undefined) return only;
    if (items.some(({ kind }) => kind === 'slice')) this.stream.fail('invalid syntax', line);
    return { kind: 'tuple', items, line };
  }

  #index(): Expression {
    const { line } = this.stream.current;
    if (this.stream.isOperator(':')) return this.#slice(undefined, line);
    const start = this.parseExpression();
    return this.stream.isOperator(':') ? this.#slice(start, line) : start;
  }

  #slice(start: Expression | undefined, line: number): SliceNode {
    this.stream.expect('operator', ':');
    const bound = (...ends: string[]): Expression | undefined =>
      this.stream.isOperator(...ends) ? undefined : this.parseExpression();
    const stop = bound(':', ']', ',');
    const step = this.stream.skipIfOperator(':') ? bound(']', ',') : undefined;
    return { kind: 'slice', start, stop, step, line };
  }

  #call(node: Expression): Expression {
    const { line } = this.stream.current;
    return { kind: 'call', node, ...this.#arguments(), line };
  }

  #arguments(): Arguments {
    const { line } = this.stream.expect('operator', '(');
    const found: MutableArguments = {
      args: [],
      kwargs: [],
      dynamicArgs: undefined,
      dynamicKwargs: undefined,
    };
    this.#items(')', () => this.#argument(found, line));
    return found;
  }

  #argument(found: MutableArguments, line: number): void {
    const ensure = (isValid: boolean): void => {
      if (!isValid) this.stream.fail('invalid syntax for function call expression', line);
    };
    const isBare = found.dynamicArgs === undefined && found.dynamicKwargs === undefined;
    if (this.stream.skipIfOperator('*')) {
      ensure(isBare);
      found.dynamicArgs = this.parseExpression();
    } else if (this.stream.skipIfOperator('**')) {
      ensure(found.dynamicKwargs === undefined);
      found.dynamicKwargs = this.parseExpression();
    } else if (this.#isKeyword()) {
      ensure(found.dynamicKwargs === undefined);
      const name = this.stream.next().text;
      this.stream.skip(1);
      found.kwargs.push({ name, value: this.parseExpression() });
    } else {
      ensure(isBare && found.kwargs.length === 0);
      found.args.push(this.parseExpression());
    }
  }

  #isKeyword(): boolean {
    const next = this.stream.look();
    return this.stream.is('name') && next.type === 'operator' && next.text === '=';
  }

  #dottedName(): string {
    let name = this.stream.expect('name').text;
    while (this.stream.skipIfOperator('.')) name += `.${this.stream.expect('name').text}`;
    return name;
  }

  #filter(node: Expression): Expression {
    this.stream.expect('operator', '|');
    return this.#filterCall(node);
  }

  #filterCall(node: Expression | undefined): FilterNode {
    const { line } = this.stream.current;
    const name = this.#dottedName();
    const call = this.stream.isOperator('(') ? this.#arguments() : noArguments;
    return { kind: 'filter', node, name, ...call, line };
  }

  /** Filters of a block, or after the target of a block that is set. */
  parseBlockFilters(isFirstBare: boolean): FilterNode | undefined {
    let node = isFirstBare ? this.#filterCall(undefined) : undefined;
    while (this.stream.skipIfOperator('|')) node = this.#filterCall(node);
    return node;
  }

  #test(node: Expression): Expression {
    const { line } = this.stream.next();
    const isNegated = this.stream.skipIfName('not');
    const name = this.#dottedName();
    const call = this.#testArguments();
    const test: Expression = { kind: 'test', node, name, ...call, line };
    return isNegated ? { kind: 'not', node: test, line } : test;
  }

  #testArguments(): Arguments {
    if (this.stream.isOperator('(')) return this.#arguments();
    const { type } = this.stream.current;
    const isArgument =
      ['name', 'string', 'integer', 'float'].includes(type) || this.stream.isOperator('[', '{');
    if (!isArgument || this.stream.isName('else', 'or', 'and')) return noArguments;
    if (this.stream.isName('is')) this.stream.fail('You cannot chain multiple tests with is');
    return { ...noArguments, args: [this.#postfix(this.parsePrimary())] };
  }
}

interface MutableArguments extends Arguments {
  args: Expression[];
  kwargs: { name: string; value: Expression }[];
  dynamicArgs: Expression | undefined;
  dynamicKwargs: Expression | undefined;
}

const noArguments: Arguments = {
  args: [],
  kwargs: [],
  dynamicArgs: undefined,
  dynamicKwargs: undefined,
};
