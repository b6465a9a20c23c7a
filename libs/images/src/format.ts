import { ImageError } from './errors.js';

/** Formats that are read, by the names that sharp has for them. */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'tiff' | 'heif';

const supported = 'PNG, JPEG, WebP, GIF, TIFF and AVIF are read';

interface Signature<Name> {
  readonly name: Name;
  readonly isStart: (start: string) => boolean;
}

const readable: readonly Signature<ImageFormat>[] = [
  { name: 'png', isStart: (start) => start.startsWith('\x89PNG\r\n\x1a\n') },
  { name: 'jpeg', isStart: (start) => start.startsWith('\xff\xd8\xff') },
  { name: 'gif', isStart: (start) => /^GIF8[79]a/.test(start) },
  { name: 'webp', isStart: (start) => start.startsWith('RIFF') && start.startsWith('WEBP', 8) },
  {
    name: 'tiff',
    isStart: (start) =>
      ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((magic) => start.startsWith(magic)),
  },
  { name: 'heif', isStart: (start) => brandsOf(start).some((brand) => /^avi[fs]$/.test(brand)) },
];

/** Recognised only to be named. */
const refused: readonly Signature<string>[] = [
  {
    name: 'HEIC',
    isStart: (start) => brandsOf(start).some((brand) => /^(hei|hev|mif)/.test(brand)),
  },
  { name: 'SVG', isStart: (start) => /^[\xef\xbb\xbf\s]*<(svg|\?xml|!doctype)/i.test(start) },
  { name: 'PDF', isStart: (start) => start.startsWith('%PDF') },
  { name: 'PostScript', isStart: (start) => start.startsWith('%!PS') },
  { name: 'BMP', isStart: (start) => start.startsWith('BM') },
  {
    name: 'JPEG XL',
    isStart: (start) => start.startsWith('\xff\x0a') || start.startsWith('JXL ', 4),
  },
  {
    name: 'JPEG 2000',
    isStart: (start) => start.startsWith('\xff\x4f\xff\x51') || start.startsWith('jP  ', 4),
  },
  { name: 'ICO', isStart: (start) => start.startsWith('\0\0\x01\0') },
  { name: 'HTML', isStart: (start) => /^\s*<html/i.test(start) },
  { name: 'a Git LFS pointer', isStart: (start) => start.startsWith('version https://git-lfs') },
];

/**
 * The format by content; a file's name does not count.
 * @throws ImageError IMAGE_UNSUPPORTED_FORMAT
 */
export function formatOf(bytes: Uint8Array, label: string): ImageFormat {
  const start = Buffer.from(bytes.subarray(0, 256)).toString('latin1');
  const format = readable.find(({ isStart }) => isStart(start))?.name;
  if (format) return format;
  const name = refused.find(({ isStart }) => isStart(start))?.name;
  const reason = name === undefined ? 'is no image' : `is ${name}, which is not read`;
  throw new ImageError('IMAGE_UNSUPPORTED_FORMAT', `${label}: ${reason}; ${supported}`);
}

/** Major and compatible brands of an ISO media file. */
function brandsOf(start: string): string[] {
  if (!start.startsWith('ftyp', 4)) return [];
  const end = Math.min(start.charCodeAt(2) * 256 + start.charCodeAt(3), start.length);
  const [, , major, , ...compatible] = start.slice(0, end).match(/[^]{4}/g) ?? [];
  return major === undefined ? [] : [major, ...compatible];
}
