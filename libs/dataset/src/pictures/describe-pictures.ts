import type { ImageSize } from '@emloc/images';

import { countOf } from '../rows/warnings.js';
import type { PictureReport } from './picture-report.js';
import type { PictureRow } from './picture-row.js';
import type { Pictures } from './read-pictures.js';

/** Captions and sizes that are shown, and characters of a caption. */
const [shownCaptions, shownSizes, shownCharacters] = [5, 8, 80];

/** What a folder of pictures became, as lines for its owner; warnings apart. */
export function describePictures({ rows, report }: Pictures): string[] {
  return [
    `${countOf(report.pictures, 'picture')} to learn from${ofClass(report)}; ${captionSources(report)}`,
    `${sizeOf(report.smallest)} to ${sizeOf(report.largest)} pixels, resized and cut to ${sizes(report)}`,
    `${percent(report.cropped.mean)} of a picture is cut away on average, ${percent(report.cropped.most)} at most${mirrored(report)}`,
    ...captionLines(rows),
  ];
}

function ofClass({ classPictures }: PictureReport): string {
  return classPictures > 0 ? `, ${classPictures} of the class` : '';
}

function captionSources({ captions, distinctCaptions }: PictureReport): string {
  const sources = [
    [captions.metadata, 'from metadata'],
    [captions.file, 'from files beside them'],
    [captions.prompt, 'from the prompt'],
  ] as const;
  const used = sources.filter(([count]) => count > 0).map(([count, from]) => `${count} ${from}`);
  return `${countOf(distinctCaptions, 'caption')}: ${used.join(', ')}`;
}

function sizes({ sizes: all }: PictureReport): string {
  const shown = all.slice(0, shownSizes);
  const counted = shown.map((size) =>
    all.length === 1 ? sizeOf(size) : `${sizeOf(size)} (${size.count})`,
  );
  return [...counted, ...more(all.length - shown.length, 'size')].join(', ');
}

function mirrored({ flipped }: PictureReport): string {
  return flipped > 0 ? `; ${flipped} mirrored` : '';
}

function captionLines(rows: readonly PictureRow[]): string[] {
  const counts = new Map<string, number>();
  for (const { caption } of rows) counts.set(caption, (counts.get(caption) ?? 0) + 1);
  const shown = [...counts].slice(0, shownCaptions);
  const lines = shown.map(
    ([caption, count]) => `caption of ${countOf(count, 'picture')}: ${quoted(caption)}`,
  );
  return [...lines, ...more(counts.size - shown.length, 'caption')];
}

function more(count: number, noun: string): string[] {
  return count > 0 ? [`and ${countOf(count, `more ${noun}`)}`] : [];
}

function quoted(text: string): string {
  const characters = [...text];
  const isCut = characters.length > shownCharacters;
  return JSON.stringify(isCut ? `${characters.slice(0, shownCharacters).join('')}...` : text);
}

function sizeOf({ width, height }: ImageSize): string {
  return `${width} x ${height}`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
