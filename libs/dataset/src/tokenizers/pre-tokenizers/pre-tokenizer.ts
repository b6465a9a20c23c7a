import type { AlignedText } from '../aligned-text.js';

/** Takes a part of a text. */
export type TakePart = (text: AlignedText, start: number, end: number) => void;

/** Splits a part of a text, of whole characters, into parts of that text or of one made from it. */
export type PreTokenizer = (text: AlignedText, start: number, end: number, take: TakePart) => void;
