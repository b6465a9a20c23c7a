import { required } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import type { Optimizer, OptimizerRecord, OptimizerSettings } from './optimizer.js';
import { StateLists } from './state-lists.js';

export interface ProdigyConfig extends OptimizerSettings {
  readonly kind: 'prodigy';
  /** The first estimate of how far the solution is from the start: below every true one. */
  readonly firstDistance: number;
}

export const defaultProdigy: ProdigyConfig = Object.freeze({
  kind: 'prodigy',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  maxGradientNorm: 1,
  firstDistance: 1e-6,
});

export interface ProdigyInputs {
  readonly config: ProdigyConfig;
  /**
   * The parameters' values before the first step of all, which must stay untouched until the device
   * is synchronised.
   */
  readonly starts: readonly Float32Array[];
}

/** What decides the next distance. */
interface Estimate {
  readonly distance: number;
  readonly numerator: number;
}

/**
 * Prodigy (Mishchenko and Defazio, arXiv 2306.06101) with bias correction, decoupled weight decay
 * and the safeguard of warm-up: AdamW whose learning rate is multiplied by an estimate of how far
 * the solution is, one for all parameters, which only grows. Four float32 numbers a parameter; the
 * estimate itself is the host's, in float64.
 */
export class Prodigy implements Optimizer {
  readonly #firstMoments: readonly Tensor[];
  readonly #secondMoments: readonly Tensor[];
  readonly #gradientSums: readonly Tensor[];
  readonly #starts: readonly Tensor[];
  readonly #squaredNorms: Tensor;
  readonly #alignments: Tensor;
  readonly #magnitudes: Tensor;
  readonly #lists: StateLists;
  #estimate: Estimate;

  constructor(
    private readonly device: Device,
    private readonly parameters: readonly Tensor[],
    private readonly inputs: ProdigyInputs,
  ) {
    this.#estimate = { distance: inputs.config.firstDistance, numerator: 0 };
    this.#lists = new StateLists(device, parameters);
    try {
      this.#firstMoments = this.#lists.zeros('firstMoment');
      this.#secondMoments = this.#lists.zeros('secondMoment');
      this.#gradientSums = this.#lists.zeros('gradientSum');
      this.#starts = this.#lists.zeros('start');
      this.#squaredNorms = this.#lists.perParameter('squared gradient norms');
      this.#alignments = this.#lists.perParameter('alignments with the start');
      this.#magnitudes = this.#lists.perParameter('magnitudes of gradient sums');
      this.#lists.upload(this.#starts, inputs.starts);
    } catch (error) {
      this.#lists.dispose();
      throw error;
    }
  }

  async measure(gradients: readonly Tensor[]): Promise<Float32Array> {
    this.device.kernels.squaredNorms({ tensors: gradients, out: this.#squaredNorms });
    return this.#read(this.#squaredNorms);
  }

  async update(
    gradients: readonly Tensor[],
    { learningRate, step }: { readonly learningRate: number; readonly step: number },
  ): Promise<void> {
    const { config } = this.inputs;
    const { distance } = this.#estimate;
    const stepSize = learningRate * distance * biasCorrection(config, step);
    const sums = await this.#advanceMoments(gradients);
    // Without any gradient so far all moments are zero: then nothing moves, weights included.
    const isMoved = sums.magnitude > 0;
    if (isMoved) this.#estimate = nextEstimate(this.#estimate, { config, stepSize, ...sums });
    this.device.kernels.prodigyUpdate({
      parameters: this.parameters,
      firstMoments: this.#firstMoments,
      secondMoments: this.#secondMoments,
      stepSize,
      epsilon: config.epsilon * this.#estimate.distance,
      weightDecay: isMoved ? config.weightDecay : 0,
    });
  }

  async download(): Promise<OptimizerRecord> {
    return {
      firstMoments: await this.#lists.download(this.#firstMoments),
      secondMoments: await this.#lists.download(this.#secondMoments),
      prodigy: {
        gradientSums: await this.#lists.download(this.#gradientSums),
        ...this.#estimate,
      },
    };
  }

  upload({ firstMoments, secondMoments, prodigy }: OptimizerRecord): void {
    const { gradientSums, distance, numerator } = required(prodigy, "Prodigy's record");
    this.#lists.upload(this.#firstMoments, firstMoments);
    this.#lists.upload(this.#secondMoments, secondMoments);
    this.#lists.upload(this.#gradientSums, gradientSums);
    this.#estimate = { distance, numerator };
  }

  [Symbol.dispose](): void {
    this.#lists.dispose();
  }

  /** @returns over all parameters: Σ g (θ0 − θ) with clipped gradients, and Σ |s| */
  async #advanceMoments(
    gradients: readonly Tensor[],
  ): Promise<{ readonly alignment: number; readonly magnitude: number }> {
    const { config } = this.inputs;
    this.device.kernels.prodigyMoments({
      parameters: this.parameters,
      gradients,
      starts: this.#starts,
      firstMoments: this.#firstMoments,
      secondMoments: this.#secondMoments,
      gradientSums: this.#gradientSums,
      squaredGradientNorms: this.#squaredNorms,
      ...{ ...config, distance: this.#estimate.distance },
      alignments: this.#alignments,
      magnitudes: this.#magnitudes,
    });
    const [alignments, magnitudes] = await Promise.all([
      this.#read(this.#alignments),
      this.#read(this.#magnitudes),
    ]);
    return { alignment: sumOf(alignments), magnitude: sumOf(magnitudes) };
  }

  #read(tensor: Tensor): Promise<Float32Array> {
    return this.device.download(tensor) as Promise<Float32Array>;
  }
}

/** What makes Adam's step of moments that began at zero. */
function biasCorrection({ beta1, beta2 }: ProdigyConfig, step: number): number {
  return Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step);
}

/** The largest of all estimates so far: the published algorithm with unlimited growth. */
function nextEstimate(
  { distance, numerator: before }: Estimate,
  {
    config: { beta2, firstDistance },
    stepSize,
    alignment,
    magnitude,
  }: {
    readonly config: ProdigyConfig;
    readonly stepSize: number;
    readonly alignment: number;
    readonly magnitude: number;
  },
): Estimate {
  const numerator = Math.sqrt(beta2) * before + (distance / firstDistance) * stepSize * alignment;
  return { numerator, distance: Math.max(distance, numerator / magnitude) };
}

function sumOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
