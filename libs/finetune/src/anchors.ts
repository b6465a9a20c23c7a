import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import type { RowSource } from '@emloc/models';

import { BreadthFirstGradients } from './breadth-first-gradients.js';
import type { DeviceAdapter } from './device-adapter.js';
import { bytesOf, type PagedModel, type PassContext } from './paged-model.js';

/** Anchored training of an emulator. */
export interface AnchorOptions {
  /** Of the emulator's layout, on its device, with a pager of its own. */
  readonly original: PagedModel;
  /**
   * Steps whose gradient is that on the original; the first of a run is one.
   * @param step 0 for the first
   */
  isAnchor(step: number): boolean;
}

/** A step whose gradient is taken on the original. */
interface AnchorStep {
  readonly pass: PassContext;
  readonly source: RowSource;
  /** Of each micro-batch. */
  readonly rows: readonly (readonly number[])[];
  /** 1 / Σ of the losses' weights over the step. */
  readonly gradientScale: number;
  readonly signal?: AbortSignal;
}

/** What the correction's norm may have, as a share of that of the emulator's gradient. */
const mostShare = 0.5;

/**
 * How much of an anchor's correction is added to a gradient, so that its norm is at most half of
 * the gradient's. Norms are those over all matrices of the adapter.
 * @param squaredNorms Σ x² of the gradient and of the correction
 */
export function correctionShare(squaredNorms: ArrayLike<number>): number {
  const [ofGradient, ofCorrection] = [at(squaredNorms, 0), at(squaredNorms, 1)];
  if (ofCorrection === 0) return 1;
  return Math.min(1, mostShare * Math.sqrt(ofGradient / ofCorrection));
}

/**
 * Takes an emulator's bias out of its gradients: at an anchor the gradient g_o on the original and
 * g_e on the emulator, of the same rows and adapter, give the correction c = g_o − g_e, which is
 * added, clipped, to the emulator's gradient at every step until the next anchor. c is float32, as
 * large as the adapter.
 */
export class Anchors implements Disposable {
  readonly #correction: Tensor;
  /** Of each parameter, in the order of the adapter's. */
  readonly #parts: readonly Tensor[];
  readonly #squaredNorms: Tensor;

  /** @param adapter trainable; its gradients are read and written */
  constructor(
    private readonly options: AnchorOptions,
    private readonly adapter: DeviceAdapter,
  ) {
    const { device } = options.original;
    const { shape } = adapter.flatGradients;
    const label = "anchor's correction";
    this.#correction = device.allocate(shape, 'float32', 'optimizer', label);
    try {
      this.#squaredNorms = device.allocate([2], 'float32', 'optimizer', 'squared norms');
    } catch (error) {
      this.#correction.dispose();
      throw error;
    }
    this.#parts = adapter.partsOf(this.#correction);
    device.kernels.fill({ out: this.#correction, value: 0 });
  }

  get original(): PagedModel {
    return this.options.original;
  }

  isAnchor(step: number): boolean {
    return this.options.isAnchor(step);
  }

  /**
   * Replaces the adapter's gradients, which are those of the step on the emulator, by those on the
   * original, and keeps the difference. The original's pages are read once each way. Where it is
   * interrupted the correction is lost, which a run that goes on does not need: it begins here.
   * @returns the losses of each micro-batch on the original
   */
  async take(step: AnchorStep): Promise<readonly Float32Array[]> {
    const { original: model } = this.options;
    const { adapter } = this;
    const { pass, source, rows, gradientScale, signal } = step;
    const { kernels } = model.device;
    kernels.fill({ out: this.#correction, value: 0 });
    kernels.add({ x: adapter.flatGradients, out: this.#correction, alpha: -1 });
    adapter.zeroGradients();
    using gradients = new BreadthFirstGradients({
      ...{ model, batches: { source, rows }, pass, signal },
      trained: { adapter, gradientScale },
    });
    model.pager.schedule(gradients.pages);
    for (const visit of gradients.visits) await gradients.run(visit);
    kernels.add({ x: adapter.flatGradients, out: this.#correction });
    return gradients.losses;
  }

  /** Adds the clipped correction to the adapter's gradients, those of a step on the emulator. */
  async correct(): Promise<void> {
    const { device } = this.options.original;
    const { flatGradients } = this.adapter;
    const tensors = [flatGradients, this.#correction];
    device.kernels.squaredNorms({ tensors, out: this.#squaredNorms });
    const alpha = correctionShare(await device.download(this.#squaredNorms));
    device.kernels.add({ x: this.#correction, out: flatGradients, alpha });
  }

  /** The correction, in the order of the adapter's parameters. */
  async download(): Promise<readonly Float32Array[]> {
    const { device } = this.options.original;
    const values: Float32Array[] = [];
    for (const part of this.#parts) values.push((await device.download(part)) as Float32Array);
    return values;
  }

  /** Goes on from a correction, which must stay untouched until the device is synchronised. */
  upload(values: readonly Float32Array[]): void {
    const { device } = this.options.original;
    for (const [index, part] of this.#parts.entries())
      device.upload(part, { bytes: bytesOf(at(values, index)), dtype: 'float32' });
  }

  [Symbol.dispose](): void {
    this.#correction.dispose();
    this.#squaredNorms.dispose();
  }
}
