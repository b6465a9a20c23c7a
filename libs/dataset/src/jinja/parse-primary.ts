import { type Expression } from './nodes.js';
import { describe, type TokenStream } from './token-stream.js';

/** Deeper expressions are refused; Python's compiler stops there, too. */
const MAX_DEPTH = 200;

/** Reads names, constants, and what stands in brackets. */
export abstract class PrimaryParser {
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

  abstract parseExpression(withCondition?: boolean): Expression;

  /** Operators of one level nest to the left. */
  protected assertChain(count: number): void {
    if (count >= MAX_DEPTH) this.stream.fail(`expression has more than ${MAX_DEPTH} operators`);
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
  protected items(close: string, parse: () => void): void {
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
    this.items(']', () => items.push(this.parseExpression()));
    return { kind: 'list', items, line };
  }

  #dict(): Expression {
    const { line } = this.stream.next();
    const items: { key: Expression; value: Expression }[] = [];
    this.items('}', () => {
      const key = this.parseExpression();
      this.stream.expect('operator', ':');
      items.push({ key, value: this.parseExpression() });
    });
    return { kind: 'dict', items, line };
  }
}
