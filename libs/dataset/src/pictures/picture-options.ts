import { DatasetError } from '../errors.js';

/** How pictures become what a diffusion model is trained on. */
export interface SizeOptions {
  /** Side of a square in pixels, a multiple of 16; with buckets the root of their area. */
  readonly resolution: number;
  /** What is kept of a picture that does not fit: its middle, or a place chosen by the seed. */
  readonly crop: 'centre' | 'random';
  /** Whether pictures are mirrored, each with an even chance. */
  readonly flip: boolean;
  /** Whether a picture goes to the rectangle that is most like it, in place of a square. */
  readonly buckets: boolean;
  /** Whether pictures are turned as their EXIF orientation says. */
  readonly exifOrientation: boolean;
}

/** Pictures of what is learned, or of its class. */
export interface PictureSource {
  /** A folder, or one picture. */
  readonly path: string;
  /** Caption of pictures that have none of their own; null: all must have one. */
  readonly prompt: string | null;
}

export interface PictureOptions extends SizeOptions {
  readonly instance: PictureSource;
  /** For prior preservation; null: none. */
  readonly classes: PictureSource | null;
  /** Decides crops and mirrors, for each picture apart. */
  readonly seed: number;
  /** Whether pictures must lie within their folder, links followed: for those of somebody else. */
  readonly restrictToRoot: boolean;
}

export const defaultSizes: SizeOptions = Object.freeze({
  resolution: 512,
  crop: 'centre',
  flip: false,
  buckets: false,
  exifOrientation: true,
});

/** The latents' 8 pixels, in patches of two. */
const multiple = 16;
const mostResolution = 4096;

/** @throws DatasetError DATASET_INVALID_OPTION */
export function assertPictureOptions({ resolution, instance, classes }: PictureOptions): void {
  assertResolution(resolution);
  assertPrompt('instance prompt', instance.prompt);
  assertPrompt('class prompt', classes?.prompt ?? null);
}

function assertResolution(resolution: number): void {
  const isInRange = resolution >= multiple && resolution <= mostResolution;
  if (isInRange && resolution % multiple === 0) return;
  const most = Math.min(mostResolution, resolution);
  const nearest = Math.max(multiple, Math.round(most / multiple) * multiple);
  throw new DatasetError(
    'DATASET_INVALID_OPTION',
    `pictures: resolution is ${resolution}, a multiple of ${multiple} from ${multiple} to ${mostResolution} is expected` +
      (Number.isNaN(resolution) ? '' : `; the nearest is ${nearest}`),
  );
}

function assertPrompt(name: string, prompt: string | null): void {
  if (prompt !== null && prompt.trim() === '')
    throw new DatasetError('DATASET_INVALID_OPTION', `pictures: the ${name} is empty`);
}
