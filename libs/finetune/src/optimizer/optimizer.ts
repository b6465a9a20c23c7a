import type { Tensor } from '@emloc/device';

/** What is common to all optimizers. */
export interface OptimizerSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Global norm that gradients are clipped to; Infinity: none. */
  readonly maxGradientNorm: number;
}

/** What an optimizer has come to, in host memory: float32, in the parameters' order. */
export interface OptimizerRecord {
  readonly firstMoments: readonly Float32Array[];
  readonly secondMoments: readonly Float32Array[];
  /** Of Prodigy alone. */
  readonly prodigy?: ProdigyRecord | undefined;
}

/** What Prodigy keeps beside moments. */
export interface ProdigyRecord {
  readonly gradientSums: readonly Float32Array[];
  /** Its estimate of how far the solution is from the start. */
  readonly distance: number;
  /** What the estimate is made from, beside the sums. */
  readonly numerator: number;
}

/** An optimizer's state on the device; as of the first step until `upload` or `update`. */
export interface Optimizer extends Disposable {
  /** Σ g² of every gradient, in the parameters' order; must precede `update`. */
  measure(gradients: readonly Tensor[]): Promise<Float32Array>;
  /** One step with the norms of the last `measure`. @param step 1 for the first update. */
  update(
    gradients: readonly Tensor[],
    options: { readonly learningRate: number; readonly step: number },
  ): Promise<void> | void;
  /** Copies the state to the host. */
  download(): Promise<OptimizerRecord>;
  /**
   * Replaces the state. `record` must stay untouched until the device is synchronised.
   * @throws DeviceError when a size differs
   */
  upload(record: OptimizerRecord): void;
}
