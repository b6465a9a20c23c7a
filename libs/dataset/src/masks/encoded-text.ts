import type { TextRange } from './text-range.js';
import type { TokenMask } from './token-mask.js';

/** What one row of the file is trained on as: one text, or one for each turn that is learned. */
export interface EncodedText extends TokenMask {
  readonly text: string;
  /** Parts of `text` that are trained on, in order. */
  readonly ranges: readonly TextRange[];
  /** Whether text of the assistant is not in `text`: the template has left it out. */
  readonly isTextLost: boolean;
}
