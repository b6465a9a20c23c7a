import { normalizeVqaAnswer } from './vqa-normalize.js';

/** So many of the others who agree make an answer wholly right. */
const enough = 3;

/**
 * VQA accuracy (VQA, TextVQA), 0 to 1: the mean, over the sets of golds with one left out, of
 * min(1, golds equal to the answer / 3). Where fewer than four golds are given, all of the others
 * are enough; a single gold is equal or not.
 */
export function vqaAccuracy(prediction: string, golds: readonly string[]): number {
  const answer = normalizeVqaAnswer(prediction);
  const equal = golds.filter((gold) => normalizeVqaAnswer(gold) === answer).length;
  if (golds.length === 1) return equal;
  const needed = Math.min(enough, golds.length - 1);
  const withEqualLeftOut = equal * Math.min(1, (equal - 1) / needed);
  const withOtherLeftOut = (golds.length - equal) * Math.min(1, equal / needed);
  return (withEqualLeftOut + withOtherLeftOut) / golds.length;
}
