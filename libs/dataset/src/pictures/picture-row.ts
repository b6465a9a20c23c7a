import type { ImageSize, PixelPlan } from '@emloc/images';

import type { CaptionSource } from './read-captions.js';

/** A picture that a diffusion model is trained on, measured but not decoded. */
export interface PictureRow {
  /** Path of its file. */
  readonly image: string;
  /** Path within its folder, parted by slashes: for its owner. */
  readonly name: string;
  readonly caption: string;
  readonly captionSource: CaptionSource;
  /** Whether it shows the class, for prior preservation, and not what is learned. */
  readonly isClass: boolean;
  /** Before it is resized. */
  readonly size: ImageSize;
  /** Of its file, hexadecimal. */
  readonly sha256: string;
  readonly plan: PixelPlan;
}
