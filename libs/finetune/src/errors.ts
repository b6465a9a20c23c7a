export type FinetuneErrorCode =
  | 'FINETUNE_NON_FINITE'
  | 'FINETUNE_NO_TARGETS'
  | 'FINETUNE_INVALID_OPTION'
  | 'FINETUNE_INVALID_STATE';

/** What the training engine refuses or runs into; the message names step, layer and value. */
export class FinetuneError extends Error {
  override readonly name = 'FinetuneError';
  /** Path in the model of the layer where it happened, if it is known. */
  declare readonly layer?: string;

  constructor(
    readonly code: FinetuneErrorCode,
    message: string,
    { layer, ...options }: ErrorOptions & { readonly layer?: string | undefined } = {},
  ) {
    super(message, options);
    if (layer !== undefined) this.layer = layer;
  }
}
