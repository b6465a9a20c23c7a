/** An image; `label` is what errors call it: a row and a file, say. */
export type ImageInput = (
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
) & { readonly label?: string };

/** In pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** 8-bit RGB, row-major: (height, width, 3). */
export interface RgbImage extends ImageSize {
  readonly rgb: Uint8Array;
}

export interface DecodeOptions {
  /** Whether the image is turned as its EXIF orientation says. InternVL does not. */
  readonly exifOrientation: boolean;
}

export function labelOf(input: ImageInput): string {
  if (input.label !== undefined) return input.label;
  return input.kind === 'file' ? input.path : `image of ${input.bytes.length} bytes`;
}
