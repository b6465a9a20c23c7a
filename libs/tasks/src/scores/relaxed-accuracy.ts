import { parseFloatText, strip } from './python-text.js';

/** Largest distance to the gold, as a share of it. */
const tolerance = 0.05;

/**
 * Relaxed accuracy (ChartQA): 1 where the answer is within 5 % of one of the golds, both being
 * numbers and the gold not 0, or else is the gold, ignoring case; 0 otherwise. White space around
 * either is left out.
 */
export function relaxedAccuracy(prediction: string, golds: readonly string[]): number {
  return golds.some((gold) => isRelaxedEqual(strip(prediction), strip(gold))) ? 1 : 0;
}

function isRelaxedEqual(answer: string, gold: string): boolean {
  const [value, expected] = [numberOf(answer), numberOf(gold)];
  if (value === null || expected === null || expected === 0)
    return answer.toLowerCase() === gold.toLowerCase();
  return Math.abs(value - expected) / Math.abs(expected) <= tolerance;
}

/** A number or a percentage; null for everything else. */
function numberOf(text: string): number | null {
  if (!text.endsWith('%')) return parseFloatText(text);
  const value = parseFloatText(text.replace(/%+$/, ''));
  return value === null ? null : value / 100;
}
