import { at } from '@emloc/checked';
import type { AdamwOptions, Device, Tensor } from '@emloc/device';

import type { Optimizer, OptimizerRecord, OptimizerSettings } from './optimizer.js';
import { StateLists } from './state-lists.js';

export interface AdamwConfig extends OptimizerSettings {
  readonly kind: 'adamw';
  /**
   * LoRA+ (Hayou et al., arXiv 2402.12354): the learning rate of every B, and of every magnitude as
   * in PEFT, is this times that of A. 1: plain LoRA.
   */
  readonly loraPlusRatio: number;
}

export const defaultAdamw: AdamwConfig = Object.freeze({
  kind: 'adamw',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  maxGradientNorm: 1,
  loraPlusRatio: 1,
});

/** Parameters with one learning rate, by their numbers. */
interface Group {
  readonly numbers: readonly number[];
  /** What the learning rate is multiplied by. */
  readonly factor: number;
  /** Lists of tensors, made once: devices keep tables by them. */
  readonly lists: Pick<AdamwOptions, 'parameters' | 'firstMoments' | 'secondMoments'>;
}

/**
 * Moments of AdamW on the device, float32, two per parameter. Parameters are A, B and, of DoRA, the
 * magnitude, a vector, of one linear after another.
 */
export class Adamw implements Optimizer {
  readonly #firstMoments: readonly Tensor[];
  readonly #secondMoments: readonly Tensor[];
  readonly #squaredNorms: Tensor;
  readonly #lists: StateLists;
  readonly #groups: readonly Group[];

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
      this.#groups = this.#groupsOf(config.loraPlusRatio);
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
    for (const { numbers, factor, lists } of this.#groups)
      this.device.kernels.adamw({
        ...this.config,
        ...lists,
        gradients: numbers.map((number) => at(gradients, number)),
        squaredGradientNorms: this.#squaredNorms,
        learningRate: learningRate * factor,
        step,
      });
  }

  /** One group where all have one rate. */
  #groupsOf(ratio: number): readonly Group[] {
    const all = [...this.parameters.keys()];
    const ofA = new Set(
      all
        .filter((number) => at(this.parameters, number).shape.length === 2)
        .filter((_, index) => index % 2 === 0),
    );
    const parts =
      ratio === 1
        ? [{ numbers: all, factor: 1 }]
        : [
            { numbers: all.filter((number) => ofA.has(number)), factor: 1 },
            { numbers: all.filter((number) => !ofA.has(number)), factor: ratio },
          ];
    return parts.map(({ numbers, factor }) => {
      const of = (list: readonly Tensor[]) => numbers.map((number) => at(list, number));
      const lists = {
        parameters: of(this.parameters),
        firstMoments: of(this.#firstMoments),
        secondMoments: of(this.#secondMoments),
      };
      return { numbers, factor, lists };
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
