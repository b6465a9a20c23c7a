import {
  ImageError,
  inspectImage,
  tileCount,
  type ImageFacts,
  type ImageInput,
  type Tiling,
} from '@emloc/images';

import { DatasetError, RowImagesError, type ImageProblem } from '../errors.js';
import type { ImageReference, ImageSource } from '../rows/images/image-reference.js';
import { ImageRefusal, resolveImagePath, type ImageFolder } from './image-folder.js';
import type { ImageTextOptions } from './image-text-options.js';
import { Limiter } from './limiter.js';
import { fetchImage } from './remote-image.js';

/** An image of a row before the row is tokenised. */
export interface MeasuredImage extends ImageFacts {
  readonly input: ImageInput & { readonly label: string };
  readonly tiles: number;
  readonly maxTiles: number;
}

/** What a row, or the list that its file is of, says of images. */
export interface RowImages {
  readonly references: readonly ImageReference[];
  /** Of the row, for people: file and line. */
  readonly place: string;
  readonly folder: ImageFolder;
  /** Of a row, all images together. */
  readonly maxTiles: number;
}

/** Images that are looked at at the same time. */
const atOnce = 8;
/** Files and URLs that are remembered; an image often stands in several rows. */
const mostRemembered = 2 ** 16;

type Found = ImageFacts & { readonly source: Exclude<ImageSource, { kind: 'url' }> };

/** @throws DatasetError DATASET_INVALID_OPTION */
function assertTiling(tiling: Tiling): void {
  try {
    tileCount({ width: 1, height: 1 }, tiling);
  } catch (error) {
    throw new DatasetError('DATASET_INVALID_OPTION', (error as Error).message, { cause: error });
  }
}

/** Measures the images of rows, none of them decoded. */
export class ImageMeasurer {
  readonly #limiter = new Limiter(atOnce);
  readonly #remembered = new Map<string, Promise<Found>>();

  /** @throws DatasetError DATASET_INVALID_OPTION */
  constructor(
    private readonly options: ImageTextOptions,
    private readonly signal?: AbortSignal,
  ) {
    assertTiling(options);
  }

  /** @throws RowImagesError with all images of the row that cannot be used */
  async measure({ references, place, folder, maxTiles }: RowImages): Promise<MeasuredImage[]> {
    const share = Math.max(1, Math.floor(maxTiles / Math.max(1, references.length)));
    const found = await Promise.all(
      references.map((reference) => this.#attempt(reference, place, folder)),
    );
    const problems = found.flatMap((each) => ('reason' in each ? [each] : []));
    if (problems.length > 0) throw new RowImagesError(problems);
    return found.flatMap((each, index) =>
      'reason' in each ? [] : [this.#measured(each, labelOf(place, references[index]), share)],
    );
  }

  #measured({ source, ...facts }: Found, label: string, share: number): MeasuredImage {
    const { minTiles } = this.options;
    const tiling = { ...this.options, minTiles: Math.min(minTiles, share), maxTiles: share };
    const input: MeasuredImage['input'] =
      source.kind === 'path'
        ? { kind: 'file', path: source.path, label }
        : { kind: 'bytes', bytes: source.bytes, label };
    return { ...facts, input, tiles: tileCount(facts, tiling), maxTiles: share };
  }

  async #attempt(
    { source, field }: ImageReference,
    place: string,
    folder: ImageFolder,
  ): Promise<Found | ImageProblem> {
    try {
      return await this.#find(source, folder);
    } catch (error) {
      this.signal?.throwIfAborted();
      return { field, image: nameOf(source), reason: reasonOf(error) };
    }
  }

  async #find(source: ImageSource, folder: ImageFolder): Promise<Found> {
    if (source.kind === 'bytes') return this.#inspect(source);
    if (source.kind === 'url') {
      if (!this.options.allowRemoteImages)
        throw new ImageRefusal('is a URL, which --allow-remote-images lets be fetched');
      return this.#remember(source.url, () => this.#fetch(source.url));
    }
    const path = await resolveImagePath(source.path, folder);
    return this.#remember(path, () => this.#inspect({ kind: 'path', path }));
  }

  async #fetch(url: string): Promise<Found> {
    const { signal } = this;
    const isPublicOnly = this.options.restrictToRoot;
    const bytes = await this.#limiter.run(() => fetchImage(url, { isPublicOnly, signal }));
    return this.#inspect({ kind: 'bytes', bytes });
  }

  #inspect(source: Found['source']): Promise<Found> {
    const input: ImageInput =
      source.kind === 'path'
        ? { kind: 'file', path: source.path, label }
        : { kind: 'bytes', bytes: source.bytes, label };
    return this.#limiter.run(async () => {
      this.signal?.throwIfAborted();
      return { ...(await inspectImage(input, this.options)), source };
    });
  }

  /** Forgets what was remembered first where there is too much. */
  #remember(key: string, find: () => Promise<Found>): Promise<Found> {
    const known = this.#remembered.get(key);
    if (known) return known;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined && this.#remembered.size >= mostRemembered)
      this.#remembered.delete(oldest);
    const found = find();
    this.#remembered.set(key, found);
    return found;
  }
}

/** In messages of the image library, cut off again: it is told by field and name here. */
const label = 'image';

function reasonOf(error: unknown): string {
  if (error instanceof ImageRefusal) return error.message;
  if (!(error instanceof ImageError)) throw error;
  const { code, message } = error;
  if (code === 'IMAGE_DECODER_MISSING')
    throw new DatasetError('DATASET_UNREADABLE', `data set: ${message.replace(/^image: /, '')}`);
  return message.replace(/^image: /, '');
}

function labelOf(place: string, reference: ImageReference | undefined): string {
  return reference ? `${place}: ${nameOf(reference.source)}` : place;
}

/** Never the bytes themselves. */
function nameOf(source: ImageSource): string {
  switch (source.kind) {
    case 'path':
      return source.path;
    case 'url':
      return source.url;
    case 'bytes':
      return `data of ${source.bytes.length} bytes`;
  }
}
