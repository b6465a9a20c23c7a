import { EmulatorError } from './errors.js';

/** One `PATTERN=ratio`: `pattern` is anchored at both ends. */
export interface RatioRule {
  /** null: whatever the model has emulated by default. */
  readonly pattern: RegExp | null;
  readonly ratio: number;
}

const decimal = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * Compiles ordered `PATTERN=ratio` rules; a bare ratio is for every linear that the model has
 * emulated by default. The pattern may contain '=': the last one divides.
 * @throws EmulatorError EMULATOR_INVALID_RATIO naming the rule
 */
export function parseRatioRules(specs: readonly string[]): readonly RatioRule[] {
  return specs.map((spec) => {
    const divider = spec.lastIndexOf('=');
    const pattern = divider < 0 ? null : spec.slice(0, divider).trim();
    if (pattern === '') throw invalid(spec, 'has no pattern before the last "="');
    return {
      pattern: pattern === null ? null : compilePattern(pattern, spec),
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
 */
export function ratioOf(rules: readonly RatioRule[], { path, emulated }: RatedLinear): number {
  if (emulated === 'never') return 1;
  const isMeant = (pattern: RegExp | null): boolean =>
    pattern === null ? emulated === 'byDefault' : pattern.test(path);
  return rules.find(({ pattern }) => isMeant(pattern))?.ratio ?? 1;
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
  throw invalid(
    spec,
    `gives the ratio ${JSON.stringify(text)}, a number above 0 and at most 1 expected`,
  );
}

function compilePattern(pattern: string, spec: string): RegExp {
  try {
    new RegExp(pattern);
    return new RegExp(`^(?:${pattern})$`);
  } catch (cause) {
    throw invalid(
      spec,
      `has the pattern ${JSON.stringify(pattern)}, which is no regular expression`,
      cause,
    );
  }
}

function invalid(spec: string, reason: string, cause?: unknown): EmulatorError {
  return new EmulatorError(
    'EMULATOR_INVALID_RATIO',
    `ratio rule ${JSON.stringify(spec)} ${reason}`,
    { cause },
  );
}
