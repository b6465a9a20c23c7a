import { posix } from 'node:path';

import { RowError } from '../errors.js';
import { decodeRow } from '../rows/decode-row.js';
import { smallFile } from '../rows/small-file.js';
import type { ListedFile, PictureFiles } from './list-pictures.js';
import { readMetadata } from './metadata/read-metadata.js';
import type { PictureProblem } from './picture-problems.js';

/** Where a caption is from. */
export type CaptionSource = 'metadata' | 'file' | 'prompt';

export interface Caption {
  readonly text: string;
  readonly source: CaptionSource;
}

export interface Captions {
  /** By the name of the picture. */
  readonly captions: ReadonlyMap<string, Caption>;
  /** Texts that are no picture's. */
  readonly unused: number;
  readonly problems: readonly PictureProblem[];
}

/** Bytes of a file with a caption: more than any text encoder takes. */
const maxCaptionBytes = 2 ** 16;

/**
 * The caption of each picture: of the metadata, else of the text beside it, else the prompt. Blank
 * ones count as none; a picture without any is a problem.
 */
export async function readCaptions(
  pictures: readonly ListedFile[],
  files: Pick<PictureFiles, 'texts' | 'metadata'>,
  prompt: string | null,
): Promise<Captions> {
  const metadata = await readMetadata(files.metadata, pictures);
  const problems = [...metadata.problems];
  const captions = new Map<string, Caption>();
  const texts = textsByPicture(files.texts);
  const used = new Set<ListedFile>();
  for (const { name } of pictures) {
    const file = texts.get(stemOf(name));
    if (file) used.add(file);
    const known = problems.length;
    const caption =
      captionOf(metadata.texts.get(name), 'metadata') ??
      captionOf(await textOf(file, problems), 'file') ??
      captionOf(prompt, 'prompt');
    if (problems.length > known) continue;
    if (caption) captions.set(name, caption);
    else problems.push({ kind: 'caption', place: name, reason: missingReason(file, metadata) });
  }
  return { captions, unused: files.texts.length - used.size, problems };
}

/** `.txt` before `.caption`. */
function textsByPicture(texts: readonly ListedFile[]): Map<string, ListedFile> {
  const isPlain = ({ name }: ListedFile): boolean => /\.txt$/i.test(name);
  return new Map(
    [...texts]
      .sort((a, b) => Number(isPlain(a)) - Number(isPlain(b)))
      .map((file) => [stemOf(file.name), file]),
  );
}

function stemOf(name: string): string {
  return name.slice(0, name.length - posix.extname(name).length);
}

/** One line: encoders read line ends as spaces. */
function captionOf(text: string | null | undefined, source: CaptionSource): Caption | null {
  const lines = (text ?? '').split(/[\r\n\u2028\u2029]+/).map((each) => each.trim());
  const line = lines.filter((each) => each !== '').join(' ');
  return line === '' ? null : { text: line, source };
}

async function textOf(
  file: ListedFile | undefined,
  problems: PictureProblem[],
): Promise<string | null> {
  if (!file) return null;
  try {
    return await readText(file.path);
  } catch (error) {
    const reason =
      error instanceof RowError
        ? error.reason
        : `cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
    problems.push({ kind: 'caption', place: file.name, reason });
    return null;
  }
}

/** Without a byte order mark. @throws RowError */
async function readText(path: string): Promise<string> {
  return decodeRow(await smallFile(path, maxCaptionBytes)).replace(/^\ufeff/, '');
}

function missingReason(
  file: ListedFile | undefined,
  { texts }: { readonly texts: ReadonlyMap<string, string> },
): string {
  const empty = file ? `${posix.basename(file.name)} is empty` : 'no text beside it';
  return texts.size > 0
    ? `has no caption: not in metadata, ${empty}, and no prompt is given`
    : `has no caption: ${empty}, and no prompt is given`;
}
