export type FinetuneErrorCode = 'FINETUNE_NON_FINITE' | 'FINETUNE_NO_TARGETS' | 'FINETUNE_INVALID_OPTION' | 'FINETUNE_INVALID_STATE';

/** What the training engine refuses or runs into; the message names step, layer and value. */
export class FinetuneError extends Error {
  override readonly name = 'FinetuneError';

  constructor(
    readonly code: FinetuneErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
