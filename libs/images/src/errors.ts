/** Codes of everything the image library refuses; `docs/errors.md` explains each. */
export type ImageErrorCode =
  | 'IMAGE_UNREADABLE'
  | 'IMAGE_UNSUPPORTED_FORMAT'
  | 'IMAGE_DAMAGED'
  | 'IMAGE_TOO_LARGE'
  | 'IMAGE_INVALID_OPTION'
  | 'IMAGE_DECODER_MISSING'
  | 'IMAGE_POOL_CLOSED';

/** The one error type of this library. */
export class ImageError extends Error {
  override readonly name = 'ImageError';

  constructor(
    readonly code: ImageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
