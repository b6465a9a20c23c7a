/** What came of a case. */
export type Outcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly code: unknown; readonly message: string };

/** What any case must be done within: of the clock more, other work may hold the processor. */
export const limits = Object.freeze({
  processorMs: 20_000,
  clockMs: 120_000,
  memoryBytes: 2 ** 30,
  messageLength: 6000,
});

export interface Expected {
  /** Codes that are documented. */
  readonly codes: ReadonlySet<string>;
  /** What a refusal has to name. */
  readonly place: RegExp;
}

/** What is wrong with an outcome; null: nothing. */
export function problemOf(outcome: Outcome, { codes, place }: Expected): string | null {
  if (outcome.kind === 'taken') return null;
  const { code, message } = outcome;
  if (typeof code !== 'string' || !codes.has(code))
    return `an error without a documented code (${String(code)}): ${message.slice(0, 500)}`;
  if (message.length > limits.messageLength)
    return `${code} has a message of ${message.length} characters, at most ${limits.messageLength} are right: ${message.slice(0, 300)}`;
  return place.test(message)
    ? null
    : `${code} does not name ${String(place)}: ${message.slice(0, 500)}`;
}

export function refusalOf(error: unknown): Outcome {
  if (!(error instanceof Error)) return { kind: 'refused', code: null, message: String(error) };
  const code = 'code' in error ? error.code : null;
  const isCoded = typeof code === 'string';
  return {
    kind: 'refused',
    code,
    message: isCoded ? error.message : (error.stack ?? error.message),
  };
}

/** The codes of docs/errors.md. */
export function documentedCodes(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^\| `([A-Z][A-Z0-9_]*)`/gm)].map(([, code]) => code ?? ''));
}
