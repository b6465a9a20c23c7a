import { basename, resolve } from 'node:path';
import type { Comparison, Deviation, Quantity } from '@emloc/golden-models';

/** What a folder came to. */
export type Outcome =
  | { readonly folder: string; readonly comparison: Comparison }
  /** It could not be compared: its family is not there, a file is missing. */
  | { readonly folder: string; readonly failure: string };

const quantities: readonly Quantity[] = ['logits', 'outputs', 'losses', 'gradients'];

/** Deviations that a line names; the others are counted. */
const named = 3;

export function isRight(outcome: Outcome): boolean {
  return 'comparison' in outcome && outcome.comparison.wrong.length === 0;
}

/** `ok NAME logits 2e-6 losses 1e-7 gradients 4e-5`, or `WRONG NAME` with what is off. */
export function formatOutcome(outcome: Outcome): string {
  const name = nameOf(outcome);
  if ('failure' in outcome) return `WRONG ${name} ${outcome.failure.replaceAll(/\s+/g, ' ')}`;
  const { worst, wrong } = outcome.comparison;
  if (wrong.length > 0) return `WRONG ${name} ${formatWrong(wrong)}`;
  const errors = quantities.flatMap((quantity) => {
    const error = worst[quantity];
    return error === undefined ? [] : [`${quantity} ${formatError(error)}`];
  });
  return ['ok', name, ...errors].join(' ');
}

/** `N right, M wrong` */
export function formatSummary(outcomes: readonly Outcome[]): string {
  const right = outcomes.filter(isRight).length;
  return `${right} right, ${outcomes.length - right} wrong`;
}

/** What `--json` prints: one object a folder, with every deviation over its limit. */
export function toJson(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => ({
    name: nameOf(outcome),
    right: isRight(outcome),
    ...('failure' in outcome ? { failure: outcome.failure } : outcome.comparison),
  }));
  // JSON has no Infinity.
  return JSON.stringify(rows, (_, value: unknown) =>
    value === Number.POSITIVE_INFINITY ? 'infinite' : value,
  );
}

function nameOf({ folder }: Outcome): string {
  return basename(resolve(folder));
}

function formatWrong(wrong: readonly Deviation[]): string {
  const parts = wrong
    .slice(0, named)
    .map(({ quantity, what, error }) => `${quantity} ${formatError(error)} (${what})`);
  const more = wrong.length - named;
  return [...parts, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** One digit: `2e-6`. */
function formatError(error: number): string {
  if (error === 0) return '0';
  return Number.isFinite(error) ? error.toExponential(0) : 'infinite';
}
