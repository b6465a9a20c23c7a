import { at } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import { bytesOf } from './paged-model.js';

export interface AdamwConfig {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Global norm that gradients are clipped to; Infinity: none. */
  readonly maxGradientNorm: number;
}

export const defaultAdamw: AdamwConfig = Object.freeze({
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  maxGradientNorm: 1,
});

/** Moments of AdamW in host memory, float32, in the parameters' order. */
export interface AdamwMoments {
  readonly firstMoments: readonly Float32Array[];
  readonly secondMoments: readonly Float32Array[];
}

/** Moments of AdamW on the device, float32, two per parameter; zero until `upload` or `update`. */
export class AdamwState {
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  readonly #squaredNorms: Tensor;
  readonly #tensors: Tensor[] = [];

  constructor(
    private readonly device: Device,
    private readonly parameters: readonly Tensor[],
    private readonly config: AdamwConfig,
  ) {
    const allocate = (shape: readonly number[], label: string): Tensor => {
      const tensor = device.allocate(shape, 'float32', 'optimizer', label);
      this.#tensors.push(tensor);
      return tensor;
    };
    const zeros = (label: string): Tensor[] =>
      parameters.map((parameter) => {
        const moment = allocate(parameter.shape, `${parameter.label}.${label}`);
        device.kernels.fill({ out: moment, value: 0 });
        return moment;
      });
    try {
      this.firstMoments = zeros('firstMoment');
      this.secondMoments = zeros('secondMoment');
      this.#squaredNorms = allocate([parameters.length], 'squared gradient norms');
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Σ g² of every gradient, in the parameters' order; must precede `update`. */
  async measure(gradients: readonly Tensor[]): Promise<Float32Array> {
    this.device.kernels.squaredNorms({ tensors: gradients, out: this.#squaredNorms });
    const values = await this.device.download(this.#squaredNorms);
    return values as Float32Array;
  }

  /** One AdamW step with the norms of the last `measure`. @param step 1 for the first update. */
  update(
    gradients: readonly Tensor[],
    { learningRate, step }: { learningRate: number; step: number },
  ): void {
    this.device.kernels.adamw({
      parameters: this.parameters,
      gradients,
      firstMoments: this.firstMoments,
      secondMoments: this.secondMoments,
      squaredGradientNorms: this.#squaredNorms,
      learningRate,
      step,
      ...this.config,
    });
  }

  /** Copies the moments to the host. */
  async download(): Promise<AdamwMoments> {
    const firstMoments: Float32Array[] = [];
    const secondMoments: Float32Array[] = [];
    for (const moment of this.firstMoments)
      firstMoments.push((await this.device.download(moment)) as Float32Array);
    for (const moment of this.secondMoments)
      secondMoments.push((await this.device.download(moment)) as Float32Array);
    return { firstMoments, secondMoments };
  }

  /**
   * Replaces the moments. `moments` must stay untouched until the device is synchronised.
   * @throws DeviceError when a size differs
   */
  upload({ firstMoments, secondMoments }: AdamwMoments): void {
    const pairs = [
      [this.firstMoments, firstMoments],
      [this.secondMoments, secondMoments],
    ] as const;
    for (const [tensors, values] of pairs) {
      for (const [index, tensor] of tensors.entries()) {
        this.device.upload(tensor, {
          bytes: bytesOf(at(values, index)),
          dtype: 'float32',
        });
      }
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }
}
