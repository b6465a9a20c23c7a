import { Buffer } from 'node:buffer';

import { quote } from '../errors.js';
import type { JsonPart } from '../json.js';
import { byteToken } from './byte-token.js';
import { ModelError, type TakeToken, type TokenModel } from './token-model.js';
import { UnitTrie } from './unit-trie.js';
import { Vocabulary } from './vocabulary.js';

/** An unknown character costs this much more than the worst token. */
const unknownPenalty = 10;
const unseen = -1;

/** @throws TokenizerError */
export function createUnigram(part: JsonPart): TokenModel {
  return new Unigram(part);
}

/** The tokens of a word are those with the highest sum of scores. */
class Unigram implements TokenModel {
  readonly #vocabulary: Vocabulary;
  readonly #scores: Float64Array;
  readonly #trie = new UnitTrie();
  readonly #unknownId: number | undefined;
  readonly #unknownScore: number;
  readonly #byteFallback: boolean;
  readonly size: number;

  constructor(part: JsonPart) {
    const pieces = readPieces(part.get('vocab'));
    this.size = pieces.length;
    this.#vocabulary = new Vocabulary(new Map(pieces.map(([token], id) => [token, id])));
    this.#scores = Float64Array.from(pieces, ([, score]) => score);
    pieces.forEach(([token], id) => this.#trie.add(token, id));
    const unknown = part.get('unk_id');
    this.#unknownId = unknown.isAbsent ? undefined : unknown.id;
    if ((this.#unknownId ?? -1) >= pieces.length) unknown.fail('is beyond the vocabulary');
    this.#unknownScore = this.#scores.reduce((a, b) => (b < a ? b : a), Infinity) - unknownPenalty;
    this.#byteFallback = part.get('byte_fallback').flagOr(false);
    this.#tokens = pieces.map(([token]) => token);
  }

  readonly #tokens: readonly string[];

  get maxId(): number {
    return this.size - 1;
  }

  idOf(token: string): number | undefined {
    return this.#vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#tokens[id];
  }

  tokenize(word: string, take: TakeToken): void {
    new BestPath(word, {
      trie: this.#trie,
      scores: this.#scores,
      unknownId: this.#unknownId,
      unknownScore: this.#unknownScore,
      take: (id, start, end) => {
        if (id === this.#unknownId) this.#takeUnknown(word, start, end, take);
        else take(id, start, end);
      },
    }).run();
  }

  /** A run of unknown characters: a token of its own after all, its bytes, or the unknown token. */
  #takeUnknown(word: string, start: number, end: number, take: TakeToken): void {
    const run = word.slice(start, end);
    const known = this.#vocabulary.idOf(run);
    if (known !== undefined) return take(known, start, end);
    const ids = this.#byteFallback
      ? Array.from(Buffer.from(run), (byte) => this.#vocabulary.idOf(byteToken(byte)))
      : [undefined];
    if (ids.every((id) => id !== undefined)) ids.forEach((id) => take(id, start, end));
    else take(this.#unknownId ?? 0, start, end);
  }
}

function readPieces(part: JsonPart): readonly (readonly [string, number])[] {
  const { value } = part;
  if (!Array.isArray(value)) return part.fail('must be a list of tokens with their scores');
  return (value as readonly unknown[]).map((piece, i) => {
    const [token, score, ...more]: readonly unknown[] = Array.isArray(piece) ? piece : [];
    if (typeof token !== 'string' || typeof score !== 'number' || more.length > 0)
      return part.fail(`[${i}] must be a token and its score, is ${quote(JSON.stringify(piece))}`);
    return [token, score];
  });
}

interface PathOptions {
  readonly trie: UnitTrie;
  readonly scores: Float64Array;
  readonly unknownId: number | undefined;
  readonly unknownScore: number;
  /** Of tokens in order; neighbouring unknown characters are one. */
  readonly take: TakeToken;
}

/**
 * The best path through a word, kept as long as tokens reach across the place looked at only: where
 * none does, every path goes through that place, and what comes before is settled.
 */
class BestPath {
  #scores = new Float64Array(64);
  #starts = new Int32Array(64).fill(unseen);
  #ids = new Int32Array(64);
  /** Begin of what is not settled yet; the arrays begin there. */
  #base = 0;
  #reach = 0;
  #unknownFrom = -1;
  #unknownTo = -1;

  constructor(
    private readonly word: string,
    private readonly options: PathOptions,
  ) {}

  run(): void {
    const { word } = this;
    for (let at = 0; at < word.length;) {
      if (at === this.#reach) this.#settle(at);
      at += this.#extend(at);
    }
    this.#settle(word.length);
    this.#flushUnknown();
  }

  /** Tries all tokens that begin at a place; returns the units of the character there. */
  #extend(at: number): number {
    const { trie, scores, unknownScore } = this.options;
    const { word } = this;
    const units = (word.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    const before = this.#scores[at - this.#base] as number;
    let single = false;
    let node = 1;
    for (let end = at; end < word.length;) {
      node = trie.next(node, word.charCodeAt(end));
      if (node === 0) break;
      end += 1;
      const id = trie.valueAt(node);
      if (id < 0) continue;
      this.#offer(at, end, id, (scores[id] as number) + before);
      if (end === at + units) single = true;
    }
    if (!single) this.#offer(at, at + units, this.#unknown(), unknownScore + before);
    return units;
  }

  #unknown(): number {
    const { unknownId } = this.options;
    if (unknownId === undefined)
      throw new ModelError('a character is unknown, and the model has no unk_id');
    return unknownId;
  }

  #offer(start: number, end: number, id: number, score: number): void {
    const place = end - this.#base;
    if (place >= this.#scores.length) this.#grow(place);
    if (end > this.#reach) this.#reach = end;
    if (this.#starts[place] !== unseen && score <= (this.#scores[place] as number)) return;
    this.#scores[place] = score;
    this.#starts[place] = start;
    this.#ids[place] = id;
  }

  /** Takes the tokens up to a place and goes on from there with the score so far. */
  #settle(at: number): void {
    const ends: number[] = [];
    for (let end = at; end > this.#base; end = this.#starts[end - this.#base] as number)
      ends.push(end);
    for (const end of ends.reverse()) {
      const place = end - this.#base;
      this.#take(this.#ids[place] as number, this.#starts[place] as number, end);
    }
    const score = this.#scores[at - this.#base] as number;
    this.#starts.fill(unseen, 0, at - this.#base + 1);
    this.#base = at;
    this.#scores[0] = score;
  }

  #take(id: number, start: number, end: number): void {
    if (id === this.options.unknownId) {
      if (this.#unknownFrom < 0) this.#unknownFrom = start;
      this.#unknownTo = end;
      return;
    }
    this.#flushUnknown();
    this.options.take(id, start, end);
  }

  #flushUnknown(): void {
    if (this.#unknownFrom >= 0)
      this.options.take(this.#unknown(), this.#unknownFrom, this.#unknownTo);
    this.#unknownFrom = -1;
  }

  #grow(place: number): void {
    const length = 2 * place + 2;
    const [scores, starts, ids] = [this.#scores, this.#starts, this.#ids];
    this.#scores = new Float64Array(length);
    this.#starts = new Int32Array(length).fill(unseen);
    this.#ids = new Int32Array(length);
    this.#scores.set(scores);
    this.#starts.set(starts);
    this.#ids.set(ids);
  }
}
