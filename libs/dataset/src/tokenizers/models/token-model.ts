/** Takes a token: its id and the UTF-16 units of the word that it stands for. */
export type TakeToken = (id: number, start: number, end: number) => void;

/** Splits words into tokens of a vocabulary. */
export interface TokenModel {
  /** @throws ModelError where a part of the word has no token */
  tokenize(word: string, take: TakeToken): void;
  /** The same of a word that is still to be written by the characters of its bytes. */
  readonly tokenizeBytes?: (word: string, take: TakeToken) => void;
  /** Splits a long word where no token can reach across; absent: no such places are known. */
  readonly splitLong?: (word: string, take: (start: number, end: number) => void) => void;
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  /** How many different tokens there are. */
  readonly size: number;
  readonly maxId: number;
}

/** A text has a part for which there is no token, not even one for what is unknown. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}
