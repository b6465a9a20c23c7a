import { words } from './python-text.js';

/** `string.punctuation` of Python: ASCII alone. */
const punctuation = /[!-/:-@[-`{-~]/g;
/** Articles between what Python's `\b` takes for the borders of words. */
const articles = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

interface SquadScores {
  /** 1 where the answer is one of the golds once both are normalised. */
  readonly exactMatch: number;
  /** Harmonic mean of precision and recall of words, for the gold where it is highest. */
  readonly f1: number;
}

/** Exact match and F1 as SQuAD 1.1 has them (also WebSRC), each the best over the golds. */
export function squad(prediction: string, golds: readonly string[]): SquadScores {
  const answer = normalizedWords(prediction);
  const expected = golds.map(normalizedWords);
  const isExact = expected.some((gold) => gold.join(' ') === answer.join(' '));
  return {
    exactMatch: isExact ? 1 : 0,
    f1: Math.max(...expected.map((gold) => f1(answer, gold))),
  };
}

/** Lower case, without punctuation and articles. */
function normalizedWords(text: string): string[] {
  return words(text.toLowerCase().replace(punctuation, '').replace(articles, ' '));
}

/** Words count as often as they stand in both. 0 where none does, two empty lists included. */
function f1(answer: readonly string[], gold: readonly string[]): number {
  const left = [...gold];
  const common = answer.filter((word) => {
    const index = left.indexOf(word);
    if (index >= 0) left.splice(index, 1);
    return index >= 0;
  }).length;
  if (common === 0) return 0;
  const [precision, recall] = [common / answer.length, common / gold.length];
  return (2 * precision * recall) / (precision + recall);
}
