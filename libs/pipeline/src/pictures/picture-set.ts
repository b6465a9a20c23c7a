import { join } from 'node:path';
import { openPromptTokenizers, type PictureRow } from '@emloc/dataset';
import type { DiffusionLimits, DiffusionModel } from '@emloc/models';
import type { LatentSize, Picture } from '@emloc/tasks';

/** A text as both encoders take it. */
interface Caption {
  readonly text: string;
  /** Ids for CLIP and for T5, padded. */
  readonly pooledIds: Int32Array;
  readonly promptIds: Int32Array;
  /** Whether T5's tokens do not hold all of it. */
  readonly isCut: boolean;
}

/** Pictures and their captions, both numbered. */
export interface PictureSet {
  readonly limits: DiffusionLimits;
  readonly rows: readonly PictureRow[];
  readonly pictures: readonly Picture[];
  readonly captions: readonly Caption[];
}

/** How a model makes tokens of texts, and its limits with the length that its tokenizer has. */
export interface PromptReader {
  readonly limits: DiffusionLimits;
  read(text: string): Caption;
}

/** @throws DatasetError DATASET_TOKENIZER_INVALID */
export async function openPromptReader({
  folder,
  limits: given,
}: Pick<DiffusionModel, 'folder' | 'limits'>): Promise<PromptReader> {
  const tokenizers = await openPromptTokenizers(
    { clip: join(folder, 'tokenizer'), t5: join(folder, 'tokenizer_2') },
    { clip: given.prompts.pooled.vocabularySize, t5: given.prompts.rows.vocabularySize },
  );
  const promptTokens = Math.min(given.promptTokens, tokenizers.t5Length ?? given.promptTokens);
  const limits = { ...given, promptTokens };
  return {
    limits,
    read: (text) => {
      const { ids, isCut } = tokenizers.t5(text, promptTokens);
      return { text, pooledIds: tokenizers.clip(text), promptIds: ids, isCut };
    },
  };
}

/** Numbers pictures and captions; equal captions are one. */
export function pictureSet(rows: readonly PictureRow[], reader: PromptReader): PictureSet {
  const texts = [...new Set(rows.map(({ caption }) => caption))];
  const { limits } = reader;
  const numbers = new Map(texts.map((text, number) => [text, number]));
  return {
    limits,
    rows,
    captions: texts.map((text) => reader.read(text)),
    pictures: rows.map(({ caption, isClass, plan }) => ({
      caption: numbers.get(caption) ?? 0,
      isClass,
      size: latentSize(plan, limits),
    })),
  };
}

/** Latent pixels of an image's sides. */
export function latentSize(
  { width, height }: LatentSize,
  { pixelsPerLatent }: Pick<DiffusionLimits, 'pixelsPerLatent'>,
): LatentSize {
  return { height: height / pixelsPerLatent, width: width / pixelsPerLatent };
}

/** A set with these captions, too; equal ones are one. @returns numbers of the texts' captions */
export function captionsWith(
  set: PictureSet,
  reader: PromptReader,
  texts: readonly string[],
): { readonly set: PictureSet; readonly numbers: readonly number[] } {
  const captions = [...set.captions];
  const numbers = texts.map((text) => {
    const known = captions.findIndex((caption) => caption.text === text);
    return known >= 0 ? known : captions.push(reader.read(text)) - 1;
  });
  return { set: { ...set, captions }, numbers };
}
