import { at } from '@emloc/checked';

import { TemplateSyntaxError } from './errors.js';
import { tokenize, type Token, type TokenType } from './lexer.js';

/** Tokens of a template, one after the other. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: string) {
    this.#tokens = tokenize(source);
  }

  get current(): Token {
    return this.#tokenAt(this.#at);
  }

  look(): Token {
    return this.#tokenAt(this.#at + 1);
  }

  /** All beyond the end are the end. */
  #tokenAt(index: number): Token {
    return at(this.#tokens, Math.min(index, this.#tokens.length - 1));
  }

  next(): Token {
    const token = this.current;
    this.#at++;
    return token;
  }

  skip(count: number): void {
    this.#at += count;
  }

  is(type: TokenType, text?: string): boolean {
    const { current } = this;
    return current.type === type && (text === undefined || current.text === text);
  }

  isName(...names: string[]): boolean {
    return this.current.type === 'name' && names.includes(this.current.text);
  }

  isOperator(...operators: string[]): boolean {
    return this.current.type === 'operator' && operators.includes(this.current.text);
  }

  skipIfName(name: string): boolean {
    if (!this.isName(name)) return false;
    this.#at++;
    return true;
  }

  skipIfOperator(operator: string): boolean {
    if (!this.isOperator(operator)) return false;
    this.#at++;
    return true;
  }

  expect(type: TokenType, text?: string): Token {
    if (this.is(type, text)) return this.next();
    const wanted = text ?? describeType(type);
    if (this.current.type === 'eof') this.fail(`unexpected end of template, expected '${wanted}'.`);
    return this.fail(`expected token '${wanted}', got '${describe(this.current)}'`);
  }

  fail(reason: string, line = this.current.line): never {
    throw new TemplateSyntaxError(reason, line);
  }
}

const descriptions: Partial<Record<TokenType, string>> = {
  block_begin: 'begin of statement block',
  block_end: 'end of statement block',
  variable_begin: 'begin of print statement',
  variable_end: 'end of print statement',
  data: 'template data / text',
  eof: 'end of template',
};

function describeType(type: TokenType): string {
  return descriptions[type] ?? type;
}

export function describe(token: Token): string {
  return token.type === 'name' || token.type === 'operator' ? token.text : describeType(token.type);
}
