import type { AddedToken } from './added-token.js';
import { AlignedText } from './aligned-text.js';
import { findAddedTokens, TokenFinder, type FoundPart } from './find-added-tokens.js';
import type { TokenModel } from './models/token-model.js';
import type { Normalizer } from './normalizers/normalizer.js';

/** Parts of a text: tokens that were added to the vocabulary, and normalized text between them. */
export interface TakeParts {
  token(id: number, start: number, end: number): void;
  text(part: AlignedText): void;
}

/** The tokens beside the model's vocabulary. */
export class AddedVocabulary {
  readonly #ids = new Map<string, number>();
  readonly #tokens = new Map<number, AddedToken>();
  readonly #special = new Set<string>();
  readonly #written = new Map<number, string>();
  #plain = new TokenFinder([]);
  #normalized = new TokenFinder([]);

  constructor(
    private readonly model: TokenModel,
    private readonly normalizer: Normalizer,
  ) {}

  /**
   * Tokens that the model has keep its ids, the others go on from the last. A token that is there
   * already takes the new properties.
   */
  add(tokens: readonly AddedToken[]): void {
    let next = this.#nextId();
    for (const token of tokens) {
      if (token.content === '') continue;
      const known = this.idOf(token.content);
      const id = known ?? next;
      if (known === undefined) next += 1;
      if (token.normalized) this.#writeNormalized(id, token.content);
      this.#ids.set(token.content, id);
      if (token.special) this.#special.add(token.content);
      this.#tokens.set(id, token);
    }
    const all = [...this.#tokens];
    this.#plain = new TokenFinder(
      all.filter(([, { normalized }]) => !normalized).map(([id, token]) => ({ id, token })),
    );
    this.#normalized = new TokenFinder(
      all
        .filter(([, { normalized }]) => normalized)
        .map(([id, token]) => ({ id, token, written: this.#written.get(id) })),
    );
  }

  get maxId(): number {
    return Math.max(-1, ...this.#tokens.keys());
  }

  idOf(content: string): number | undefined {
    return this.#ids.get(content) ?? this.model.idOf(content);
  }

  /** As it stands in a normalized text. */
  tokenOf(id: number): string | undefined {
    const token = this.#tokens.get(id);
    return token ? (this.#written.get(id) ?? token.content) : this.model.tokenOf(id);
  }

  isSpecial(token: string): boolean {
    return this.#special.has(token);
  }

  /** Splits a text: first at the tokens that stand in it, then, normalized, at the others. */
  split(text: string, take: TakeParts): void {
    for (const part of findAddedTokens(text, this.#plain)) {
      if (part.id !== undefined) take.token(part.id, part.start, part.end);
      else this.#splitNormalized(text, part, take);
    }
  }

  #splitNormalized(text: string, { start, end }: FoundPart, take: TakeParts): void {
    const base = this.normalizer(AlignedText.of(text.slice(start, end), start));
    for (const part of findAddedTokens(base.text, this.#normalized)) {
      if (part.start >= part.end) continue;
      if (part.id === undefined) take.text(base.slice(part.start, part.end));
      else take.token(part.id, base.startOf(part.start), base.endOf(part.end - 1));
    }
  }

  #writeNormalized(id: number, content: string): void {
    const { text } = this.normalizer(AlignedText.of(content, 0));
    if (text !== content) this.#written.set(id, text);
  }

  #nextId(): number {
    const { maxId, model } = this;
    return maxId >= model.size || (model.size === 0 && maxId >= 0) ? maxId + 1 : model.size;
  }
}
