import { Buffer } from 'node:buffer';

import { byteCharacters, toByteCharacters } from '../byte-characters.js';
import { quote } from '../errors.js';
import type { JsonPart } from '../json.js';
import { readBpeRules, type BpeRules } from './bpe-rules.js';
import { byteToken } from './byte-token.js';
import { Symbols } from './symbols.js';
import { ModelError, type TakeToken, type TokenModel } from './token-model.js';
import { ByteCursor, utf8Length } from './utf8.js';
import type { Vocabulary } from './vocabulary.js';

/** @throws TokenizerError */
export function createBpe(part: JsonPart): TokenModel {
  return new Bpe(readBpeRules(part));
}

class Bpe implements TokenModel {
  readonly #rules: BpeRules;
  readonly #vocabulary: Vocabulary;
  readonly #symbols = new Symbols();
  readonly #byteIds: Int32Array;
  readonly tokenizeBytes?: (word: string, take: TakeToken) => void;
  readonly splitLong?: (word: string, take: (start: number, end: number) => void) => void;

  constructor(rules: BpeRules) {
    this.#rules = rules;
    this.#vocabulary = rules.vocabulary;
    this.#byteIds = Int32Array.from(byteCharacters, (c) => rules.vocabulary.idOf(c) ?? -1);
    const affixes = rules.prefix !== '' || rules.suffix !== '';
    if (!affixes && this.#byteIds.every((id) => id >= 0)) this.tokenizeBytes = this.#tokenizeBytes;
    if (!affixes && !rules.ignoreMerges) this.splitLong = this.#splitLong;
  }

  get size(): number {
    return this.#vocabulary.size;
  }

  get maxId(): number {
    return this.#vocabulary.maxId;
  }

  idOf(token: string): number | undefined {
    return this.#vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#vocabulary.tokenOf(id);
  }

  tokenize(word: string, take: TakeToken): void {
    const whole = this.#rules.ignoreMerges ? this.#vocabulary.idOf(word) : undefined;
    if (whole !== undefined) return take(whole, 0, word.length);
    this.#symbols.clear();
    this.#addCharacters(word);
    this.#mergeAndTake(word, take);
  }

  #tokenizeBytes(word: string, take: TakeToken): void {
    // A unit is one byte or more, and a byte is one unit of a token.
    if (this.#rules.ignoreMerges && word.length <= this.#vocabulary.longest) {
      const whole = this.#vocabulary.idOf(toByteCharacters(word));
      if (whole !== undefined) return take(whole, 0, word.length);
    }
    this.#symbols.clear();
    this.#addAllBytes(word);
    this.#mergeAndTake(word, take);
  }

  #addAllBytes(word: string): void {
    const bytes = Buffer.from(word);
    this.#symbols.reserve(bytes.length);
    for (const byte of bytes) this.#symbols.push(this.#byteIds[byte] as number, 1);
  }

  #mergeAndTake(word: string, take: TakeToken): void {
    const symbols = this.#symbols;
    symbols.merge(this.#rules.merges);
    const cursor = new ByteCursor(word);
    let byte = 0;
    for (let i = 0; i < symbols.count; i += 1) {
      const end = byte + (symbols.lengths[i] as number);
      take(symbols.ids[i] as number, cursor.unitOf(byte), cursor.unitAfter(end - 1));
      byte = end;
    }
  }

  /** Each character, or its bytes, or the unknown token; without any of them it is left out. */
  #addCharacters(word: string): void {
    const { prefix, suffix, byteFallback } = this.#rules;
    let unknownLength = 0;
    for (let at = 0; at < word.length;) {
      const point = word.codePointAt(at) ?? 0;
      const units = point > 0xffff ? 2 : 1;
      let symbol = word.slice(at, at + units);
      if (at > 0) symbol = prefix + symbol;
      at += units;
      if (at === word.length) symbol += suffix;
      const id = this.#vocabulary.idOf(symbol);
      if (id !== undefined) {
        if (unknownLength > 0) this.#addUnknown(unknownLength);
        unknownLength = 0;
        this.#symbols.push(id, utf8Length(point));
      } else if (!byteFallback || !this.#addBytes(symbol))
        unknownLength = this.#nextUnknown(unknownLength, utf8Length(point));
    }
    if (unknownLength > 0) this.#addUnknown(unknownLength);
  }

  /**
   * Unknown characters are kept back until it is known whether they are one token with the next.
   */
  #nextUnknown(pending: number, length: number): number {
    if (this.#rules.unknownToken === undefined) return 0;
    if (pending > 0 && this.#rules.fuseUnknown) return pending + length;
    if (pending > 0) this.#addUnknown(pending);
    return length;
  }

  #addUnknown(length: number): void {
    const token = this.#rules.unknownToken ?? '';
    const id = this.#vocabulary.idOf(token);
    if (id === undefined)
      throw new ModelError(`the unknown token ${quote(token)} is not in the vocabulary`);
    this.#symbols.push(id, length);
  }

  #addBytes(symbol: string): boolean {
    const ids: number[] = [];
    for (const byte of Buffer.from(symbol)) {
      const id = this.#vocabulary.idOf(byteToken(byte));
      if (id === undefined) return false;
      ids.push(id);
    }
    for (const id of ids) this.#symbols.push(id, 1);
    return true;
  }

  /** Between two characters that are tokens themselves and that no merge brings together. */
  #splitLong(word: string, take: (start: number, end: number) => void): void {
    let start = 0;
    let last = word.codePointAt(0) ?? 0;
    for (let at = last > 0xffff ? 2 : 1; at < word.length;) {
      const point = word.codePointAt(at) ?? 0;
      if (!this.#rules.joins.has(last, point) && this.#isToken(last) && this.#isToken(point)) {
        take(start, at);
        start = at;
      }
      last = point;
      at += point > 0xffff ? 2 : 1;
    }
    take(start, word.length);
  }

  #isToken(point: number): boolean {
    return this.#vocabulary.idOf(String.fromCodePoint(point)) !== undefined;
  }
}
