/** Codes of what scoring answers refuses; `docs/errors.md` explains each. */
export type ScoreErrorCode = 'SCORE_NO_GOLD' | 'SCORE_INVALID_REFERENCE' | 'SCORE_NO_ROWS';

/** The one error type of scores. `message` never holds text of a row. */
export class ScoreError extends Error {
  override readonly name = 'ScoreError';

  constructor(
    readonly code: ScoreErrorCode,
    message: string,
  ) {
    super(message);
  }
}
