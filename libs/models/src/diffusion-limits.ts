/** How far noise levels of sampling are moved towards noise, by an image's rows. */
export interface DynamicShift {
  /** Of images of `baseRows` and of `maxRows` rows; a line goes through both. */
  readonly baseShift: number;
  readonly maxShift: number;
  readonly baseRows: number;
  readonly maxRows: number;
  /** Whether the shift is a logarithm of the factor on the odds, or the factor itself. */
  readonly kind: 'exponential' | 'linear';
}

/** The noise levels that a model was made with. */
export interface NoiseSchedule {
  /** How many training draws from: 1, 1 − 1 / levels, … 1 / levels. */
  readonly levels: number;
  /** Factor on the odds of every noise level; not used where the shift is dynamic. */
  readonly shift: number;
  /** null: the same for all sizes. */
  readonly dynamic: DynamicShift | null;
  /** The last noise level before 0, which the others are stretched to; null: as it comes. */
  readonly shiftTerminal: number | null;
}

/** What a model that makes images of noise is given, and what its other parts make. */
export interface DiffusionLimits {
  /** Channels of an image encoder's latent. */
  readonly latentChannels: number;
  /** Pixels of a latent pixel's side. */
  readonly pixelsPerLatent: number;
  /** Latent pixels of the side of the square that is one row. */
  readonly patch: number;
  /** Columns of a prompt's rows. */
  readonly promptWidth: number;
  /** Columns of the vector that stands for a whole prompt. */
  readonly pooledWidth: number;
  /** Rows of a prompt, padded. */
  readonly promptTokens: number;
  /** Whether the model is told how strictly to follow the prompt. */
  readonly hasGuidance: boolean;
  /** Columns of a noise level's and a guidance's features. */
  readonly featureWidth: number;
  /** Elements of a head that turn by a row's number: of the sequence, the image row, its column. */
  readonly ropeAxes: readonly number[];
  /** Latents are (sample of the encoder's − shift) · scale. */
  readonly scaling: { readonly shift: number; readonly scale: number };
  readonly schedule: NoiseSchedule;
  readonly prompts: PromptLimits;
}

/** What the text encoders are given. */
export interface PromptLimits {
  readonly pooled: {
    /** Tokens of a prompt, padded. */
    readonly tokens: number;
    /** The token whose first row stands for the prompt; null: that of the largest id. */
    readonly end: number | null;
  };
  readonly rows: {
    /** Kinds of distance between two rows, half of them to each side. */
    readonly buckets: number;
    /** The distance from which on all are of one kind. */
    readonly maxDistance: number;
  };
}
