import { PatternMatcher } from './match-pattern.js';
import { PatternError } from './node.js';
import { PatternSets } from './pattern-sets.js';

const maxLength = 2000;
/** Steps for all patterns and paths, and for each character of a path on top of that. */
const baseSteps = 20_000_000;
const stepsPerUnit = 300;
/** However many paths there are: some seconds. */
const mostSteps = 500_000_000;

/** A pattern that must match a whole module path. */
export interface PathPattern {
  /** @throws PatternWorkError where all that was asked so far takes too much work */
  test(path: string): boolean;
}

/**
 * Patterns of one user, which together have a limit of work and memory whatever they are. Their
 * syntax is what JavaScript and Oniguruma have in common.
 */
export class PathPatterns {
  readonly #sets = new PatternSets();
  readonly #work = { steps: baseSteps };
  #stepsToGive = mostSteps - baseSteps;

  /** @throws PatternError */
  compile(source: string): PathPattern {
    assertPattern(source);
    const matcher = new PatternMatcher(`(?:${source})\\z`, this.#sets);
    return {
      test: (path) => {
        const given = Math.min(stepsPerUnit * path.length, this.#stepsToGive);
        this.#stepsToGive -= given;
        this.#work.steps += given;
        return matcher.beginsWithMatch(path, this.#work);
      },
    };
  }
}

function assertPattern(source: string): void {
  if (source.length > maxLength)
    throw new PatternError(`it has ${source.length} characters, more than ${maxLength}`);
  try {
    new RegExp(source);
  } catch (cause) {
    throw new PatternError('it is no regular expression', { cause });
  }
}
