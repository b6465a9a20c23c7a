import { get } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import { deviceDTypeOf, type LayerSpec } from './source.js';

/**
 * A leased layer's tensors as kernels take them: those that are held small are made whole in
 * scratch memory, which lasts as long as the lease.
 */
export class LeasedTensors {
  /** By name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly #scratch = new Map<string, Tensor>();

  /**
   * Reserves the memory of all or none.
   * @param held the layer's tensors, as they are held
   * @throws OutOfBudgetError, DeviceError
   */
  constructor(
    private readonly device: Device,
    private readonly spec: LayerSpec,
    private readonly held: ReadonlyMap<string, Tensor>,
  ) {
    try {
      for (const tensor of spec.tensors) {
        if (!tensor.storage) continue;
        const { name, shape } = tensor;
        const [dtype, label] = [deviceDTypeOf(tensor, device), `${spec.name}.${name}`];
        this.#scratch.set(name, device.allocate(shape, dtype, 'workspace', label));
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.tensors = this.#scratch.size === 0 ? held : new Map([...held, ...this.#scratch]);
  }

  /** Whether all are held as kernels take them. */
  get isWhole(): boolean {
    return this.#scratch.size === 0;
  }

  /** Launches what fills the scratch memory; once what is held has arrived. */
  fill(): void {
    for (const { name, storage: format } of this.spec.tensors)
      if (format)
        this.device.kernels.dequantize({
          x: get(this.held, name),
          format,
          out: get(this.#scratch, name),
        });
  }

  /** Gives the scratch memory back, behind everything launched so far; twice is a no-op. */
  dispose(): void {
    for (const tensor of this.#scratch.values()) tensor.dispose();
    this.#scratch.clear();
  }
}
