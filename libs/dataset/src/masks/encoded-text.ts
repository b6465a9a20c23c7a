import type { RowImage } from '../encoded-row.js';
import type { TextRange } from './text-range.js';
import type { TokenMask } from './token-mask.js';

/** What one row of the file is trained on as: one text, or one for each turn that is learned. */
export interface EncodedText extends MaskedText {
  /** In the order of their context tokens. */
  readonly images: readonly RowImage[];
}

/** The same where each image is one token still. */
export interface MaskedText extends TokenMask {
  readonly text: string;
  /** Parts of `text` that are trained on, in order. */
  readonly ranges: readonly TextRange[];
  /** Whether text of the assistant is not in `text`: the template has left it out. */
  readonly isTextLost: boolean;
  /** How many images of the row, from its first on, are shown. */
  readonly imageCount: number;
}
