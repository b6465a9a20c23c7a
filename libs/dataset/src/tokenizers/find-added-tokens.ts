import {
  joinedWordCharacters,
  MembershipTable,
  whiteSpace,
  type CodePointSet,
} from '@emloc/patterns/unicode';

import type { AddedToken } from './added-token.js';
import { isHighSurrogate, isLowSurrogate } from './aligned-text.js';
import { UnitTrie } from './models/unit-trie.js';

export interface FindableToken {
  readonly id: number;
  readonly token: AddedToken;
  /** What it is in the text that is searched, where that is not its content. */
  readonly written?: string | undefined;
}

/** A part of a text: an added token, or without an id the text between two of them. */
export interface FoundPart {
  readonly id: number | undefined;
  readonly start: number;
  readonly end: number;
}

/** Finds, from the left, the longest of the tokens at each place. */
export class TokenFinder {
  readonly #trie = new UnitTrie();
  readonly #begins = new Uint8Array(0x10000);

  constructor(readonly tokens: readonly FindableToken[]) {
    tokens.forEach(({ token, written }, i) => {
      const text = written ?? token.content;
      this.#trie.add(text, i);
      if (text !== '') this.#begins[text.charCodeAt(0)] = 1;
    });
  }

  /** Calls back with each token and its place. */
  forEach(text: string, found: (token: FindableToken, start: number, end: number) => void): void {
    if (this.tokens.length === 0) return;
    for (let at = 0; at < text.length;) {
      const end = this.#begins[text.charCodeAt(at)] === 1 ? this.#longest(text, at) : -1;
      const token = this.tokens[this.#found];
      if (end > at && token) found(token, at, end);
      at = Math.max(at + 1, end);
    }
  }

  #found = -1;

  #longest(text: string, start: number): number {
    let node = 1;
    let longest = -1;
    for (let at = start; at < text.length;) {
      node = this.#trie.next(node, text.charCodeAt(at));
      if (node === 0) break;
      at += 1;
      const value = this.#trie.valueAt(node);
      if (value < 0) continue;
      longest = at;
      this.#found = value;
    }
    return longest;
  }
}

/** Parts of a text in order; those of tokens with the white space that they take along. */
export function findAddedTokens(text: string, finder: TokenFinder): readonly FoundPart[] {
  const parts: FoundPart[] = [];
  let done = 0;
  finder.forEach(text, ({ id, token }, from, to) => {
    let [start, end] = [from, to];
    if (token.singleWord && !standsAlone(text, start, end)) return;
    if (token.stripLeft) while (start > done && isSpace(text.charCodeAt(start - 1))) start -= 1;
    // What a token before has taken along is not taken again.
    if (token.stripLeft) start = Math.max(start, done);
    if (token.stripRight) while (end < text.length && isSpace(text.charCodeAt(end))) end += 1;
    if (done < start) parts.push({ id: undefined, start: done, end: start });
    parts.push({ id, start, end });
    done = end;
  });
  if (done < text.length || text === '')
    parts.push({ id: undefined, start: done, end: text.length });
  return parts;
}

let words: MembershipTable | undefined;

function isWord(codePoint: number): boolean {
  words ??= new MembershipTable(joinedWordCharacters());
  return words.has(codePoint);
}

function standsAlone(text: string, start: number, end: number): boolean {
  const after = text.codePointAt(end);
  return !isWord(pointBefore(text, start)) && !(after !== undefined && isWord(after));
}

function pointBefore(text: string, at: number): number {
  if (at === 0) return 0;
  const paired =
    isLowSurrogate(text.charCodeAt(at - 1)) && isHighSurrogate(text.charCodeAt(at - 2));
  return text.codePointAt(at - (paired ? 2 : 1)) ?? 0;
}

let spaces: CodePointSet | undefined;

function isSpace(unit: number): boolean {
  if (unit === 0x20) return true;
  spaces ??= whiteSpace();
  return spaces.has(unit);
}
