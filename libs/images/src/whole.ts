import type { ImageFormat } from './format.js';

/** The first and the last bytes of a file; they overlap where it is short. */
export interface FileEnds {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  /** Of the whole file. */
  readonly byteLength: number;
}

/**
 * Whether a file has its format's end, as far as head and tail tell; what stands behind that end
 * does not count. A file that is whole here may still be damaged.
 */
export function hasEnd(format: ImageFormat, ends: FileEnds): boolean {
  switch (format) {
    case 'png':
      return Buffer.from(ends.tail).lastIndexOf('IEND\xae\x42\x60\x82', undefined, 'latin1') >= 0;
    case 'jpeg':
      return hasEndOfJpeg(ends);
    case 'webp':
      return Buffer.from(ends.head).readUInt32LE(4) + 8 <= ends.byteLength;
    case 'gif':
    case 'tiff':
    case 'heif':
      // Their first picture may end anywhere: decoding tells.
      return true;
  }
}

/** An end marker behind the start of the pixels: pictures within the header have such, too. */
function hasEndOfJpeg({ head, tail, byteLength }: FileEnds): boolean {
  const tailStart = byteLength - tail.length;
  const from = Math.max(0, startOfScan(head) - tailStart);
  return Buffer.from(tail).indexOf('\xff\xd9', from, 'latin1') >= 0;
}

/** Offset of the marker that pixels follow; the end of the head where it stands behind. */
function startOfScan(head: Uint8Array): number {
  const bytes = Buffer.from(head);
  let place = 2;
  while (place + 4 <= bytes.length) {
    const marker = bytes[place + 1];
    if (bytes[place] !== 0xff || marker === 0xda) return place;
    place += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(place + 2);
  }
  return bytes.length;
}
