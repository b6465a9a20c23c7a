import type { HostArray } from '@emloc/device';
import {
  imageRows,
  imageStreams,
  visionStreams,
  type Batch,
  type BatchShape,
  type ImageLimits,
  type RowSource,
  type ValueShape,
} from '@emloc/models';

/** What the sizes of tiles come from. */
export type TileLimits = Pick<
  ImageLimits,
  'gridSize' | 'patchSize' | 'shuffleSize' | 'shuffleOrder' | 'tokensPerTile'
>;

/** Reads what tiles bring: (rows, width) of a stream, one tile after another. */
export interface TileValues {
  read(tiles: readonly number[]): Promise<HostArray>;
}

/** Rows that are tiles, each as its patches: what the tower begins with. */
export function patchRows(limits: TileLimits, values: TileValues): RowSource {
  const value = { rows: imageRows.patches, width: 3 * limits.patchSize ** 2 };
  return new TileRows({ stream: imageStreams.patches, value, values }, (tiles) =>
    visionStreams(limits, tiles),
  );
}

/** Rows that are tiles, each as what the projector made of it: (tokensPerTile, width). */
export function projectedRows(
  limits: TileLimits & { readonly width: number },
  values: TileValues,
): RowSource {
  const value = { rows: imageRows.image, width: limits.width };
  return new TileRows({ stream: imageStreams.image, value, values }, (tiles) => ({
    layouts: new Map([
      [
        imageRows.image,
        Array.from({ length: tiles + 1 }, (_, tile) => tile * limits.tokensPerTile),
      ],
    ]),
    integers: new Map(),
  }));
}

/** Tiles whose values nobody looks at: for planning. */
export function blankTiles(bytesPerTile: number, dtype: HostArray['dtype']): TileValues {
  return {
    read: (tiles) => Promise.resolve({ bytes: new Uint8Array(tiles.length * bytesPerTile), dtype }),
  };
}

interface Brought {
  readonly stream: string;
  readonly value: ValueShape;
  readonly values: TileValues;
}

type Frame = ReturnType<typeof visionStreams>;

class TileRows implements RowSource {
  /** By the number of tiles: a batch is asked for at every step of a chain. */
  readonly #frames = new Map<number, Frame>();

  constructor(
    private readonly brought: Brought,
    private readonly frame: (tiles: number) => Frame,
  ) {}

  shape(tiles: readonly number[]): BatchShape {
    return this.#shape(this.#frameOf(tiles.length), tiles.length);
  }

  async load(
    tiles: readonly number[],
    isWanted: (stream: string) => boolean = () => true,
  ): Promise<Batch> {
    const { stream, values } = this.brought;
    const frame = this.#frameOf(tiles.length);
    return {
      shape: this.#shape(frame, tiles.length),
      integers: frame.integers,
      values: isWanted(stream) ? new Map([[stream, await values.read(tiles)]]) : new Map(),
    };
  }

  #frameOf(tiles: number): Frame {
    const known = this.#frames.get(tiles);
    if (known) return known;
    const frame = this.frame(tiles);
    this.#frames.set(tiles, frame);
    return frame;
  }

  #shape({ layouts, integers }: Frame, tiles: number): BatchShape {
    const { stream, value } = this.brought;
    return {
      layouts,
      integers: new Map([...integers].map(([name, { length }]) => [name, length])),
      values: new Map([[stream, value]]),
      lossWeight: 0,
      items: tiles,
    };
  }
}
