import type { ImageSize } from '@emloc/images';

import { countOf } from '../rows/warnings.js';
import type { PictureRow } from './picture-row.js';
import { croppedShare, isEnlarged } from './plan-picture.js';
import type { CaptionSource } from './read-captions.js';

/** Files that are no pictures. */
export interface Ignored {
  readonly hidden: number;
  readonly others: number;
}

/** What became of a folder of pictures. */
export interface PictureReport {
  /** Of what is learned. */
  readonly pictures: number;
  readonly classPictures: number;
  /** Where captions are from. */
  readonly captions: Readonly<Record<CaptionSource, number>>;
  readonly distinctCaptions: number;
  /** What pictures are cut to, the most frequent size first. */
  readonly sizes: readonly (ImageSize & { readonly count: number })[];
  /** By pixels, before they are resized. */
  readonly smallest: ImageSize;
  readonly largest: ImageSize;
  /** Pictures that have fewer pixels than is made of them. */
  readonly enlarged: number;
  /** Pictures that are mirrored. */
  readonly flipped: number;
  /** Share of a picture's pixels that is cut away, from 0 to 1. */
  readonly cropped: { readonly mean: number; readonly most: number };
  readonly ignored: Ignored;
  /** Names of files of the same content. */
  readonly duplicates: readonly (readonly string[])[];
}

/** @param rows at least one */
export function reportPictures(
  rows: readonly PictureRow[],
  ignored: readonly Ignored[],
): PictureReport {
  const count = (is: (row: PictureRow) => boolean): number => rows.filter(is).length;
  const from = (source: CaptionSource): number =>
    count(({ captionSource }) => captionSource === source);
  const bySize = rows.map(({ size }) => size).sort((a, b) => areaOf(a) - areaOf(b));
  const none = { width: 0, height: 0 };
  const cropped = rows.map(({ plan }) => croppedShare(plan));
  return {
    pictures: count(({ isClass }) => !isClass),
    classPictures: count(({ isClass }) => isClass),
    captions: { metadata: from('metadata'), file: from('file'), prompt: from('prompt') },
    distinctCaptions: new Set(rows.map(({ caption }) => caption)).size,
    sizes: sizesOf(rows),
    smallest: bySize.at(0) ?? none,
    largest: bySize.at(-1) ?? none,
    enlarged: count(({ size, plan }) => isEnlarged(size, plan)),
    flipped: count(({ plan }) => plan.flip),
    cropped: {
      mean: sum(cropped) / Math.max(1, rows.length),
      most: cropped.reduce((most, share) => Math.max(most, share), 0),
    },
    ignored: {
      hidden: sum(ignored.map(({ hidden }) => hidden)),
      others: sum(ignored.map(({ others }) => others)),
    },
    duplicates: duplicatesOf(rows),
  };
}

function areaOf({ width, height }: ImageSize): number {
  return width * height;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function sizesOf(rows: readonly PictureRow[]): PictureReport['sizes'] {
  const groups = groupBy(rows, ({ plan }) => `${plan.width}x${plan.height}`);
  return [...groups]
    .flatMap(([{ plan }, ...others]) =>
      plan ? [{ width: plan.width, height: plan.height, count: 1 + others.length }] : [],
    )
    .sort((a, b) => b.count - a.count || a.width - b.width);
}

function duplicatesOf(rows: readonly PictureRow[]): string[][] {
  const nameOf = ({ name, isClass }: PictureRow): string => (isClass ? `class: ${name}` : name);
  return groupBy(rows, ({ sha256 }) => sha256)
    .filter((group) => group.length > 1)
    .map((group) => group.map(nameOf));
}

function groupBy(
  rows: readonly PictureRow[],
  keyOf: (row: PictureRow) => string,
): [PictureRow, ...PictureRow[]][] {
  const groups = new Map<string, [PictureRow, ...PictureRow[]]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return [...groups.values()];
}

/** Names of one content that are shown. */
const shownNames = 5;

/**
 * What an owner of pictures should know before they are trained on.
 * @param options.withNames whether files are named: a name is the user's
 */
export function pictureWarnings(
  { ignored, duplicates, enlarged, pictures, classPictures }: PictureReport,
  { withNames }: { readonly withNames: boolean },
): string[] {
  const all = countOf(pictures + classPictures, 'picture');
  return [
    ignored.others > 0
      ? `${countOf(ignored.others, 'file')} ignored, neither a picture nor the caption of one`
      : '',
    ignored.hidden > 0 ? `${hiddenFiles(ignored.hidden)} ignored` : '',
    enlarged > 0 ? `${enlarged} of ${all} have fewer pixels than they are resized to` : '',
    ...duplicates.map((names) => {
      const named = withNames ? `: ${names.slice(0, shownNames).join(', ')}` : '';
      const more = withNames && names.length > shownNames ? ', ...' : '';
      return `${names.length} files hold the same picture${named}${more}`;
    }),
  ].filter(Boolean);
}

function hiddenFiles(count: number): string {
  return `${count} hidden ${count === 1 ? 'file or folder' : 'files or folders'}`;
}
