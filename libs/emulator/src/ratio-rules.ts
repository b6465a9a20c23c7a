import { PathPatterns, PatternError, PatternWorkError, type PathPattern } from '@emloc/patterns';

import { EmulatorError } from './errors.js';

/** One `PATTERN=ratio`. */
export interface RatioRule {
  /** As it was given. */
  readonly spec: string;
  /** Of the whole path; null: whatever the model has emulated by default. */
  readonly pattern: PathPattern | null;
  readonly ratio: number;
}

const decimal = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * Compiles ordered `PATTERN=ratio` rules; a bare ratio is for every linear that the model has
 * emulated by default. The pattern may contain '=': the last one divides.
 * @throws EmulatorError EMULATOR_INVALID_RATIO naming the rule
 */
export function parseRatioRules(specs: readonly string[]): readonly RatioRule[] {
  const patterns = new PathPatterns();
  return specs.map((spec) => {
    const divider = spec.lastIndexOf('=');
    const pattern = divider < 0 ? null : spec.slice(0, divider).trim();
    if (pattern === '') throw invalid(spec, 'has no pattern before the last "="');
    return {
      spec,
      pattern: pattern === null ? null : compilePattern(patterns, pattern, spec),
      ratio: parseRatio(spec.slice(divider + 1).trim(), spec),
    };
  });
}

/** A linear as rules see it. */
interface RatedLinear {
  /** Module path. */
  readonly path: string;
  readonly emulated: 'byDefault' | 'whenNamed' | 'never';
}

/**
 * Ratio of the first rule that matches the whole module path; 1, which keeps a layer whole, where
 * none does.
 * @throws EmulatorError EMULATOR_INVALID_RATIO where the patterns take too much work
 */
export function ratioOf(rules: readonly RatioRule[], { path, emulated }: RatedLinear): number {
  if (emulated === 'never') return 1;
  const isMeant = (rule: RatioRule): boolean =>
    rule.pattern === null ? emulated === 'byDefault' : matches(rule, rule.pattern, path);
  return rules.find(isMeant)?.ratio ?? 1;
}

function matches({ spec }: RatioRule, pattern: PathPattern, path: string): boolean {
  try {
    return pattern.test(path);
  } catch (cause) {
    if (!(cause instanceof PatternWorkError)) throw cause;
    throw invalid(spec, `cannot be used: ${cause.message}`, cause);
  }
}

/**
 * Rank at which the factors have `ratio` times the parameters of the (out, in) weight: max(1,
 * ⌊ratio · in · out / (in + out)⌋).
 */
export function emulatorRank(ratio: number, inFeatures: number, outFeatures: number): number {
  return Math.max(1, Math.floor((ratio * inFeatures * outFeatures) / (inFeatures + outFeatures)));
}

function parseRatio(text: string, spec: string): number {
  const ratio = decimal.test(text) ? Number(text) : Number.NaN;
  if (ratio > 0 && ratio <= 1) return ratio;
  throw invalid(spec, `gives the ratio ${shown(text)}, a number above 0 and at most 1 expected`);
}

function compilePattern(patterns: PathPatterns, pattern: string, spec: string): PathPattern {
  try {
    return patterns.compile(pattern);
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    const reason = `has the pattern ${shown(pattern)}, which cannot be used: ${cause.message}`;
    throw invalid(spec, reason, cause);
  }
}

const mostQuoted = 200;

function shown(text: string): string {
  const quoted = JSON.stringify(text);
  return quoted.length > mostQuoted ? `${quoted.slice(0, mostQuoted)}…` : quoted;
}

function invalid(spec: string, reason: string, cause?: unknown): EmulatorError {
  return new EmulatorError('EMULATOR_INVALID_RATIO', `ratio rule ${shown(spec)} ${reason}`, {
    cause,
  });
}
