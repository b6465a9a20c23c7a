import { TemplateSyntaxError } from './errors.js';
import { decodeEscapes } from './escapes.js';
import { isIdentifier } from './letters.js';
import { decimalToInt, normalize } from './numbers.js';
import { isSpace, isSpaceUnit, stripRange } from './python-text.js';
import { PyFloat } from './scalars.js';
import { type PyValue } from './values.js';

export type TokenType =
  | 'data'
  | 'variable_begin'
  | 'variable_end'
  | 'block_begin'
  | 'block_end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'eof';

export interface Token {
  readonly type: TokenType;
  /** Text of data, name, string and operator. */
  readonly text: string;
  /** Value of a number. */
  readonly value: PyValue;
  readonly line: number;
}

const operatorAt = /\/\/|\*\*|[=!<>]=|[-+/*%~[\](){}<>=.:|,;]/y;
const nameAt = /[\p{L}\p{N}\p{M}\p{Pc}\xb7\u0387\u1369-\u1371\u19da\u2118\u212e\u309b\u309c]+/uy;
const floatAt = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const integerAt = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const stringAt = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const SPACE =
  '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*';
const rawBeginAt = new RegExp(`\\{%([-+]?)${SPACE}raw${SPACE}(?:-%\\}${SPACE}|%\\})`, 'y');
const rawEnd = new RegExp(
  `\\{%([-+]?)${SPACE}endraw${SPACE}(?:\\+%\\}|-%\\}${SPACE}|%\\}\\n?)`,
  'g',
);
const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/**
 * Tokens of a template with the delimiters of Jinja, trimmed and stripped blocks.
 * @throws TemplateSyntaxError
 */
export function tokenize(source: string): Token[] {
  return new Lexer(source.replace(/\r\n?/g, '\n').replace(/\n$/, '')).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Where the line ends; -1 for the last one. */
  #lineEnd: number;
  /** Whether what was read last ends a line. */
  #isAtLineStart = true;

  constructor(source: string) {
    this.#source = source;
    this.#lineEnd = source.indexOf('\n');
  }

  run(): Token[] {
    while (this.#at < this.#source.length) this.#root();
    this.#push('eof', '', this.#at);
    return this.#tokens;
  }

  #fail(reason: string, at = this.#at): never {
    throw new TemplateSyntaxError(reason, this.#lineOf(at));
  }

  #lineOf(at: number): number {
    while (this.#lineEnd !== -1 && this.#lineEnd < at) {
      this.#line++;
      this.#lineEnd = this.#source.indexOf('\n', this.#lineEnd + 1);
    }
    return this.#line;
  }

  #push(type: TokenType, text: string, at: number, value: PyValue = null): void {
    this.#tokens.push({ type, text, value, line: this.#lineOf(at) });
  }

  /** Moves on to `end`. */
  #advance(end: number): void {
    this.#isAtLineStart = end > this.#at ? this.#source.charAt(end - 1) === '\n' : false;
    this.#at = end;
  }

  /** Text up to a tag, and the tag. */
  #root(): void {
    const start = this.#at;
    const tag = this.#findTag(start);
    if (tag === -1) {
      this.#push('data', this.#source.slice(start), start);
      this.#advance(this.#source.length);
      return;
    }
    const raw = match(rawBeginAt, this.#source, tag);
    if (raw !== null) return this.#raw(start, tag, raw);
    const kind = this.#source.charAt(tag + 1);
    const sign = /[-+]/.test(this.#source.charAt(tag + 2)) ? this.#source.charAt(tag + 2) : '';
    this.#data(this.#source.slice(start, tag), start, sign, kind === '{');
    this.#advance(tag + 2 + sign.length);
    if (kind === '#') this.#comment();
    else this.#code(kind === '{' ? 'variable' : 'block', tag);
  }

  #findTag(from: number): number {
    for (let at = this.#source.indexOf('{', from); at !== -1;) {
      if ('{%#'.includes(this.#source.charAt(at + 1) || ' ')) return at;
      at = this.#source.indexOf('{', at + 1);
    }
    return -1;
  }

  /** Text before a tag, stripped as the tag says. */
  #data(text: string, at: number, sign: string, isVariable: boolean): void {
    const kept =
      sign === '-'
        ? text.slice(0, stripRange(text, false, true)[1])
        : sign === '' && !isVariable
          ? this.#withoutIndent(text)
          : text;
    if (kept !== '') this.#push('data', kept, at);
  }

  #withoutIndent(text: string): string {
    const lineStart = text.lastIndexOf('\n') + 1;
    if (lineStart === 0 && !this.#isAtLineStart) return text;
    return isSpace(text.slice(lineStart)) ? text.slice(0, lineStart) : text;
  }

  #comment(): void {
    const close = this.#source.indexOf('#}', this.#at);
    if (close === -1) return this.#unclosed('Missing end of comment tag');
    const sign = close > this.#at ? this.#source.charAt(close - 1) : '';
    this.#advance(this.#afterTag(close + 2, sign, true));
  }

  /** Nothing may follow, only the end of the template. */
  #unclosed(reason: string): void {
    if (this.#at < this.#source.length) this.#fail(reason);
  }

  /** Behind a tag that ends at `end`: with its line end, or with all white space. */
  #afterTag(end: number, sign: string, trims: boolean): number {
    if (sign === '-') return this.#skipSpace(end);
    const isTrimmed = trims && sign !== '+' && this.#source.charAt(end) === '\n';
    return isTrimmed ? end + 1 : end;
  }

  #skipSpace(from: number): number {
    let at = from;
    while (at < this.#source.length && isSpaceUnit(this.#source.charCodeAt(at))) at++;
    return at;
  }

  #raw(start: number, tag: number, begin: RegExpExecArray): void {
    this.#data(this.#source.slice(start, tag), start, begin[1] ?? '', false);
    this.#advance(tag + begin[0].length);
    rawEnd.lastIndex = this.#at;
    const end = rawEnd.exec(this.#source);
    if (end === null) return this.#unclosed('Missing end of raw directive');
    this.#data(this.#source.slice(this.#at, end.index), this.#at, end[1] ?? '', false);
    this.#advance(end.index + end[0].length);
  }

  /** Tokens of a tag up to its end; inside brackets, the end is an operator. */
  #code(kind: 'variable' | 'block', tag: number): void {
    this.#push(`${kind}_begin`, '', tag);
    const open: string[] = [];
    while (this.#at < this.#source.length) {
      const end = open.length === 0 ? this.#tagEnd(kind) : undefined;
      if (end !== undefined) {
        this.#push(`${kind}_end`, '', this.#at);
        this.#advance(end);
        return;
      }
      this.#token(open);
    }
  }

  #tagEnd(kind: 'variable' | 'block'): number | undefined {
    const close = kind === 'variable' ? '}}' : '%}';
    const first = this.#source.charAt(this.#at);
    const sign = first === '-' || (first === '+' && kind === 'block') ? first : '';
    if (!this.#source.startsWith(close, this.#at + sign.length)) return undefined;
    return this.#afterTag(this.#at + sign.length + 2, sign, kind === 'block');
  }

  #token(open: string[]): void {
    const at = this.#at;
    if (isSpaceUnit(this.#source.charCodeAt(at))) return this.#advance(this.#skipSpace(at));
    const end = this.#number() ?? this.#name() ?? this.#string() ?? this.#operator(open);
    if (end === undefined) this.#fail(`unexpected char '${this.#source.charAt(at)}' at ${at}`);
    this.#advance(end);
  }

  #number(): number | undefined {
    const at = this.#at;
    const float = this.#source.charAt(at - 1) === '.' ? null : match(floatAt, this.#source, at);
    if (float !== null) {
      this.#push('float', '', at, new PyFloat(Number(float[0].replaceAll('_', ''))));
      return at + float[0].length;
    }
    const integer = match(integerAt, this.#source, at);
    if (integer === null) return undefined;
    this.#push('integer', '', at, this.#integer(integer[0].replaceAll('_', '')));
    return at + integer[0].length;
  }

  #integer(digits: string): PyValue {
    if (/^0[box]/i.test(digits)) return normalize(BigInt(digits.toLowerCase()));
    if (digits.length > 4300)
      this.#fail('Exceeds the limit (4300 digits) for integer string conversion');
    return decimalToInt(digits);
  }

  #name(): number | undefined {
    const name = match(nameAt, this.#source, this.#at)?.[0];
    if (name === undefined) return undefined;
    if (!isIdentifier(name)) this.#fail('Invalid character in identifier');
    this.#push('name', name, this.#at);
    return this.#at + name.length;
  }

  #string(): number | undefined {
    const literal = match(stringAt, this.#source, this.#at)?.[0];
    if (literal === undefined) return undefined;
    const text = decodeEscapes(literal.slice(1, -1), (reason) => this.#fail(reason));
    this.#push('string', text, this.#at);
    return this.#at + literal.length;
  }

  #operator(open: string[]): number | undefined {
    const operator = match(operatorAt, this.#source, this.#at)?.[0];
    if (operator === undefined) return undefined;
    const closer = closers[operator];
    if (closer !== undefined) open.push(closer);
    if (')]}'.includes(operator)) this.#close(open, operator);
    this.#push('operator', operator, this.#at);
    return this.#at + operator.length;
  }

  #close(open: string[], operator: string): void {
    const expected = open.pop();
    if (expected === undefined) this.#fail(`unexpected '${operator}'`);
    if (expected !== operator) this.#fail(`unexpected '${operator}', expected '${expected}'`);
  }
}

function match(pattern: RegExp, source: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(source);
}
