import { createHash } from 'node:crypto';
import { at, get } from '@emloc/checked';
import type { EncodedRow, RowImage } from '@emloc/dataset';

/** An image, and the numbers of its tiles: `first`, `first` + 1, ... */
export interface NumberedImage {
  /** Among the images of its set. */
  readonly index: number;
  readonly image: RowImage;
  readonly first: number;
}

/** The images of rows, each once however often it stands there, their tiles counted through. */
export class ImageSet {
  readonly images: readonly NumberedImage[];
  readonly tiles: number;
  readonly #ofTile: readonly NumberedImage[];
  readonly #byKey = new Map<string, NumberedImage>();
  readonly #keys = new WeakMap<Uint8Array, string>();

  constructor(rows: readonly EncodedRow[]) {
    let tiles = 0;
    for (const image of rows.flatMap(({ images = [] }) => images)) {
      const key = this.#keyOf(image);
      if (this.#byKey.has(key)) continue;
      this.#byKey.set(key, { index: this.#byKey.size, image, first: tiles });
      tiles += image.tiles;
    }
    this.tiles = tiles;
    this.images = [...this.#byKey.values()];
    this.#ofTile = this.images.flatMap((image) =>
      new Array<NumberedImage>(image.image.tiles).fill(image),
    );
  }

  /** The image that a tile is of. */
  ofTile(tile: number): NumberedImage {
    return at(this.#ofTile, tile);
  }

  /** Numbers of the tiles that go with a row's context tokens, in their order. */
  tilesOf({ images = [] }: EncodedRow): number[] {
    return images.flatMap((image) => {
      const { first } = get(this.#byKey, this.#keyOf(image));
      return Array.from({ length: image.tiles }, (_, tile) => first + tile);
    });
  }

  /** Equal for equal tiles of the same source. */
  #keyOf({ input, maxTiles }: RowImage): string {
    const source = input.kind === 'file' ? `file ${input.path}` : this.#hashOf(input.bytes);
    return `${maxTiles} ${source}`;
  }

  #hashOf(bytes: Uint8Array): string {
    const known = this.#keys.get(bytes);
    if (known !== undefined) return known;
    const hash = createHash('sha256').update(bytes).digest('hex');
    this.#keys.set(bytes, hash);
    return hash;
  }
}
