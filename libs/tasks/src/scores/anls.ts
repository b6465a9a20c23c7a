import { levenshtein } from './levenshtein.js';
import { characters, words } from './python-text.js';

/** A similarity below this is a wrong answer, not a misread one. */
const threshold = 0.5;

/**
 * Normalised Levenshtein similarity (DocVQA, InfographicVQA) to the nearest gold, 0 to 1: its mean
 * over rows is ANLS. Distances are between lower-case texts with white space collapsed; they are
 * divided by lengths from before that, in upper case, as the official script does.
 */
export function anls(prediction: string, golds: readonly string[]): number {
  const distances = golds.map((gold) => normalizedDistance(prediction, gold));
  const similarity = 1 - Math.min(...distances);
  return similarity < threshold ? 0 : similarity;
}

function normalizedDistance(prediction: string, gold: string): number {
  const length = Math.max(upperLength(prediction), upperLength(gold));
  if (length === 0) return 0;
  return levenshtein(plainCharacters(prediction), plainCharacters(gold)) / length;
}

function upperLength(text: string): number {
  return characters(text.toUpperCase()).length;
}

function plainCharacters(text: string): string[] {
  return characters(words(text.toLowerCase()).join(' '));
}
