import { type Arguments, type Expression, type FilterNode, type SliceNode } from './nodes.js';
import { PrimaryParser } from './parse-primary.js';

/** Reads what follows an operand: attributes, items, calls, filters and tests. */
export abstract class PostfixParser extends PrimaryParser {
  protected postfix(start: Expression): Expression {
    let node = start;
    for (let count = 0; ; count++) {
      this.assertChain(count);
      if (this.stream.isOperator('.', '[')) node = this.#subscript(node);
      else if (this.stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  protected filters(start: Expression): Expression {
    let node = start;
    for (let count = 0; ; count++) {
      this.assertChain(count);
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
    this.items(')', () => this.#argument(found, line));
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
    return { ...noArguments, args: [this.postfix(this.parsePrimary())] };
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
