import type { Device, Tensor } from '@emloc/device';

import type { Optimizer, OptimizerRecord, OptimizerSettings } from './optimizer.js';
import { StateLists } from './state-lists.js';

export interface AdamwConfig extends OptimizerSettings {
  readonly kind: 'adamw';
}

export const defaultAdamw: AdamwConfig = Object.freeze({
  kind: 'adamw',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  maxGradientNorm: 1,
});

/** Moments of AdamW on the device, float32, two per parameter. */
export class Adamw implements Optimizer {
  readonly #firstMoments: readonly Tensor[];
  readonly #secondMoments: readonly Tensor[];
  readonly #squaredNorms: Tensor;
  readonly #lists: StateLists;

  constructor(
    private readonly device: Device,
    private readonly parameters: readonly Tensor[],
    private readonly config: AdamwConfig,
  ) {
    this.#lists = new StateLists(device, parameters);
    try {
      this.#firstMoments = this.#lists.zeros('firstMoment');
      this.#secondMoments = this.#lists.zeros('secondMoment');
      this.#squaredNorms = this.#lists.perParameter('squared gradient norms');
    } catch (error) {
      this.#lists.dispose();
      throw error;
    }
  }

  async measure(gradients: readonly Tensor[]): Promise<Float32Array> {
    this.device.kernels.squaredNorms({ tensors: gradients, out: this.#squaredNorms });
    const values = await this.device.download(this.#squaredNorms);
    return values as Float32Array;
  }

  update(
    gradients: readonly Tensor[],
    { learningRate, step }: { readonly learningRate: number; readonly step: number },
  ): void {
    this.device.kernels.adamw({
      parameters: this.parameters,
      gradients,
      firstMoments: this.#firstMoments,
      secondMoments: this.#secondMoments,
      squaredGradientNorms: this.#squaredNorms,
      learningRate,
      step,
      ...this.config,
    });
  }

  async download(): Promise<OptimizerRecord> {
    return {
      firstMoments: await this.#lists.download(this.#firstMoments),
      secondMoments: await this.#lists.download(this.#secondMoments),
    };
  }

  upload({ firstMoments, secondMoments }: OptimizerRecord): void {
    this.#lists.upload(this.#firstMoments, firstMoments);
    this.#lists.upload(this.#secondMoments, secondMoments);
  }

  [Symbol.dispose](): void {
    this.#lists.dispose();
  }
}
