import type { AlignedText } from '../aligned-text.js';

/** Makes another text of a text, aligned with the same source. */
export type Normalizer = (text: AlignedText) => AlignedText;
