/** Codes of what making images refuses; `docs/errors.md` explains each. */
export type DiffusionErrorCode = 'DIFFUSION_INVALID_OPTION' | 'DIFFUSION_INVALID_SIZE';

/** The one error type of drawing, scoring and sampling images. */
export class DiffusionError extends Error {
  override readonly name = 'DiffusionError';

  constructor(
    readonly code: DiffusionErrorCode,
    message: string,
  ) {
    super(message);
  }
}
