/** How a flow-matching sampler spaces its noise levels, and training its own. */
export interface NoiseSchedule {
  /** Noise levels that training draws from: 1, 1 − 1/steps, … 1/steps. */
  readonly trainSteps: number;
  readonly shift:
    | {
        /** σ' = shift · σ / (1 + (shift − 1) σ), in training, too. */
        readonly kind: 'constant';
        readonly shift: number;
      }
    | {
        /**
         * By the rows of a latent, in sampling alone: μ goes linearly from `baseShift` at
         * `baseRows` to `maxShift` at `maxRows`.
         */
        readonly kind: 'byRows';
        readonly baseShift: number;
        readonly maxShift: number;
        readonly baseRows: number;
        readonly maxRows: number;
        /** Of s: exponential e^μ / (e^μ + 1/s − 1), linear μ / (μ + 1/s − 1). */
        readonly form: 'exponential' | 'linear';
      };
}

/** What a model that makes images of noise is given, and what its other parts make. */
export interface DiffusionLimits {
  /** Channels of an image encoder's latent. */
  readonly latentChannels: number;
  /** Pixels of a latent pixel's side. */
  readonly pixelsPerLatent: number;
  /** Latent pixels of the side of the square that is one row. */
  readonly patchSize: number;
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
  /** Latents are (sample − shift) · scale of the encoder's. */
  readonly latentShift: number;
  readonly latentScale: number;
  readonly schedule: NoiseSchedule;
}
