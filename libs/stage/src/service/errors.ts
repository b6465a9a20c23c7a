import { isStorageFull, isTransient } from '@emloc/nats';

export type StageErrorCode = 'LAYER_GIVEN_UP' | 'STORAGE_UNAVAILABLE';

/** What ends a stage beside the errors of its engine and of its storage. */
export class StageError extends Error {
  override readonly name = 'StageError';
  /** Path in the model of what it is about; absent where that is no layer. */
  declare readonly layer?: string;

  constructor(
    readonly code: StageErrorCode,
    message: string,
    { layer, ...options }: ErrorOptions & { readonly layer?: string | undefined } = {},
  ) {
    super(message, options);
    if (layer !== undefined) this.layer = layer;
  }
}

/**
 * Says that NATS did not answer, or has no space, where that is what the kit gave up on; anything
 * else as it is.
 */
export function orUnavailable(error: unknown): unknown {
  if (!isTransient(error)) return error;
  return new StageError(
    'STORAGE_UNAVAILABLE',
    isStorageFull(error)
      ? 'NATS has no space for what the stage stores'
      : 'NATS did not answer what the stage asked of the shared storage',
    { cause: error },
  );
}
