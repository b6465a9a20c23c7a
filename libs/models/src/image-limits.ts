/** What a model's images are made into. */
export interface ImageLimits {
  /** Pixels of a square tile's side. */
  readonly tileSize: number;
  /** Pixels of a square patch's side. */
  readonly patchSize: number;
  /** Patches of a tile's side: (tileSize / patchSize). */
  readonly gridSize: number;
  /** Patches of a side of the square that becomes one token. */
  readonly shuffleSize: number;
  /** Order of a tile's tokens. */
  readonly shuffleOrder: 'rows' | 'columns';
  /** (gridSize / shuffleSize)² */
  readonly tokensPerTile: number;
  /** Id of the token whose rows are replaced; null: that of `imageTokenText`. */
  readonly imageToken: number | null;
  readonly imageTokenText: string;
  readonly minTiles: number;
  readonly maxTiles: number;
  /** Whether an image of several tiles has a small picture of the whole as its last one. */
  readonly useThumbnail: boolean;
  /** Name of the prompt's template; null: the folder's own chat template. */
  readonly template: string | null;
  /** In place of the template's system message. */
  readonly systemMessage: string | null;
  /** Of red, green and blue in 0 to 1, subtracted and then divided by. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}
