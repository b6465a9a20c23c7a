/** What tells one transformer of the family from another; every number is read from its config. */
export interface TransformerShape {
  readonly heads: number;
  readonly headDim: number;
  /** heads · headDim */
  readonly width: number;
  /** Columns of a packed latent. */
  readonly inChannels: number;
  readonly doubleBlocks: number;
  readonly singleBlocks: number;
  readonly promptWidth: number;
  readonly pooledWidth: number;
  readonly hasGuidance: boolean;
  /** Elements of a head that turn by each axis of a position: together a head. */
  readonly ropeAxes: readonly number[];
}

/** Latent pixels of the side of the square that is one row. */
export const patch = 2;
/** Columns of a noise level's features. */
export const featureWidth = 256;
/** Of every norm. */
export const epsilon = 1e-6;
/** A feed-forward's width by the model's. */
export const feedForwardFactor = 4;
