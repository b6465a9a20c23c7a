import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';

import { writePieceModel, type WrittenPieceModel } from '../src/testing/write-piece-model.js';
import type { FolderFiles } from './model-folder.js';

interface GoldenCase {
  readonly text: string;
  readonly ids: readonly number[];
  readonly ranges?: readonly number[];
  readonly decoded?: string;
}

export interface GoldenTokenizer {
  readonly config: Readonly<Record<string, unknown>>;
  /** What the class puts before and after a text. */
  readonly around: readonly number[];
  readonly cases: readonly GoldenCase[];
}

interface Golden {
  readonly models: Readonly<
    Record<string, Omit<WrittenPieceModel, 'characterMap'> & { readonly characterMap: string }>
  >;
  readonly pieces: readonly (GoldenTokenizer & { readonly model: string; readonly file: string })[];
  readonly vocabulary: Readonly<Record<string, number>>;
  readonly merges: string;
  readonly bytePairs: readonly (GoldenTokenizer & { readonly files: FolderFiles })[];
}

/**
 * Small vocabularies, and what transformers' converters and classes make of them with the Rust
 * package; for InternLM3, whose class leaves text to SentencePiece, what SentencePiece does.
 */
export const vocabularyGolden = JSON.parse(
  readFileSync(new URL('./goldens/vocabulary-files.json', import.meta.url), 'utf8'),
) as Golden;

/** A model of the golden as SentencePiece would have written it. */
export function modelFile(name: string): Uint8Array {
  const model = vocabularyGolden.models[name];
  if (!model) throw new Error(`no model ${name}`);
  return writePieceModel({ ...model, characterMap: Buffer.from(model.characterMap, 'base64') });
}
