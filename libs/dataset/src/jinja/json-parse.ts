import { JsonSyntaxError, TemplateError } from './errors.js';
import { decimalToInt } from './numbers.js';
import { PyFloat } from './scalars.js';
import { PyDict, type PyValue } from './values.js';

const DEFAULT_DEPTH = 1000;
/** Each takes up to 100 bytes, a list or an object as much as several. */
const MAX_VALUES = 4_000_000;
const VALUES_PER_CONTAINER = 8;

const numberAt = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const notPlain = /[\\\0-\x1f]/;
const spaceAt = /[ \t\n\r]*/y;

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

interface JsonOptions {
  readonly maxDepth?: number;
}

/**
 * Reads a text as Python's `json.loads` does.
 * @throws JsonSyntaxError
 */
export function parseJson(text: string, options: JsonOptions = {}): PyValue {
  return new JsonParser(text, options.maxDepth ?? DEFAULT_DEPTH).parse();
}

class JsonParser {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;
  #depth = 0;
  #valuesLeft = MAX_VALUES;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  parse(): PyValue {
    this.#skipSpace();
    const value = this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('Extra data');
    return value;
  }

  #fail(reason: string, at = this.#at): never {
    throw new JsonSyntaxError(reason, at);
  }

  #skipSpace(): void {
    const unit = this.#text.charCodeAt(this.#at);
    if (unit > 0x20) return;
    spaceAt.lastIndex = this.#at;
    spaceAt.test(this.#text);
    this.#at = spaceAt.lastIndex;
  }

  #value(): PyValue {
    if (--this.#valuesLeft < 0) this.#fail(`more than ${MAX_VALUES} values`);
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x22:
        return this.#string();
      case 0x7b:
        return this.#deeper(() => this.#object());
      case 0x5b:
        return this.#deeper(() => this.#array());
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #deeper(read: () => PyValue): PyValue {
    if (++this.#depth > this.#maxDepth) this.#fail(`nested more than ${this.#maxDepth} deep`);
    this.#valuesLeft -= VALUES_PER_CONTAINER;
    const value = read();
    this.#depth--;
    return value;
  }

  #word(word: string, value: PyValue): PyValue {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('Expecting value');
    this.#at += word.length;
    return value;
  }

  #number(): PyValue {
    numberAt.lastIndex = this.#at;
    const match = numberAt.exec(this.#text);
    if (match === null) return this.#notFinite();
    const [digits, fraction, exponent] = match;
    const value =
      fraction === undefined && exponent === undefined
        ? this.#integer(digits)
        : new PyFloat(Number(digits));
    this.#at += digits.length;
    return value;
  }

  #integer(digits: string): PyValue {
    try {
      return decimalToInt(digits);
    } catch (error) {
      if (error instanceof TemplateError) this.#fail('an integer has more than 4300 digits');
      throw error;
    }
  }

  #notFinite(): PyValue {
    if (this.#text.startsWith('NaN', this.#at)) return this.#word('NaN', new PyFloat(NaN));
    if (this.#text.startsWith('Infinity', this.#at))
      return this.#word('Infinity', new PyFloat(Infinity));
    return this.#word('-Infinity', new PyFloat(-Infinity));
  }

  #object(): PyDict {
    const dict = new PyDict();
    this.#at++;
    this.#skipSpace();
    if (this.#skip(0x7d)) return dict;
    for (;;) {
      if (this.#text.charCodeAt(this.#at) !== 0x22)
        this.#fail('Expecting property name enclosed in double quotes');
      const key = this.#string();
      this.#skipSpace();
      if (!this.#skip(0x3a)) this.#fail("Expecting ':' delimiter");
      this.#skipSpace();
      dict.set(key, this.#value());
      this.#skipSpace();
      if (this.#skip(0x7d)) return dict;
      if (!this.#skip(0x2c)) this.#fail("Expecting ',' delimiter");
      this.#skipSpace();
    }
  }

  #array(): PyValue[] {
    const items: PyValue[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#skip(0x5d)) return items;
    for (;;) {
      items.push(this.#value());
      this.#skipSpace();
      if (this.#skip(0x5d)) return items;
      if (!this.#skip(0x2c)) this.#fail("Expecting ',' delimiter");
      this.#skipSpace();
    }
  }

  #skip(unit: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== unit) return false;
    this.#at++;
    return true;
  }

  /** Most strings are plain: their end is the next quote. */
  #string(): string {
    const start = this.#at + 1;
    const end = this.#text.indexOf('"', start);
    if (end === -1) return this.#unterminated(start);
    const text = this.#text.slice(start, end);
    if (notPlain.test(text)) return this.#escaped(start);
    this.#at = end + 1;
    return text;
  }

  #unterminated(start: number): never {
    this.#escaped(start);
    return this.#fail('Unterminated string starting at', start - 1);
  }

  #escaped(start: number): string {
    let out = '';
    let from = start;
    for (let at = start; at < this.#text.length; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit === 0x22) {
        this.#at = at + 1;
        return out + this.#text.slice(from, at);
      }
      if (unit < 0x20) this.#fail('Invalid control character at', at);
      if (unit !== 0x5c) continue;
      const [point, next] = this.#escape(at, start);
      out += this.#text.slice(from, at) + point;
      from = next;
      at = next - 1;
    }
    return this.#fail('Unterminated string starting at', start - 1);
  }

  /** @returns what the escape stands for, and where it ends */
  #escape(at: number, start: number): [string, number] {
    const kind = this.#text.charAt(at + 1);
    if (kind === '') this.#fail('Unterminated string starting at', start - 1);
    const simple = escapes[kind];
    if (simple !== undefined) return [simple, at + 2];
    if (kind !== 'u') this.#fail('Invalid \\escape', at);
    const hex = this.#text.slice(at + 2, at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(hex)) this.#fail('Invalid \\uXXXX escape', at + 1);
    return [String.fromCharCode(Number.parseInt(hex, 16)), at + 6];
  }
}
