import { at } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';

import { bytesOf } from '../paged-model.js';

/** What an optimizer keeps beside the parameters: float32 tensors on the device. */
export class StateLists {
  readonly #tensors: Tensor[] = [];

  constructor(
    private readonly device: Device,
    private readonly parameters: readonly Tensor[],
  ) {}

  /** One number a parameter. */
  perParameter(label: string): Tensor {
    return this.#allocate([this.parameters.length], label);
  }

  /** A tensor like each parameter, full of zeros. */
  zeros(label: string): readonly Tensor[] {
    return this.parameters.map((parameter) => {
      const tensor = this.#allocate(parameter.shape, `${parameter.label}.${label}`);
      this.device.kernels.fill({ out: tensor, value: 0 });
      return tensor;
    });
  }

  async download(list: readonly Tensor[]): Promise<readonly Float32Array[]> {
    const values: Float32Array[] = [];
    for (const tensor of list) values.push((await this.device.download(tensor)) as Float32Array);
    return values;
  }

  /**
   * Replaces a list's values, which must stay untouched until the device is synchronised.
   * @throws DeviceError when a size differs
   */
  upload(list: readonly Tensor[], values: readonly Float32Array[]): void {
    for (const [index, tensor] of list.entries())
      this.device.upload(tensor, { bytes: bytesOf(at(values, index)), dtype: 'float32' });
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }

  #allocate(shape: readonly number[], label: string): Tensor {
    const tensor = this.device.allocate(shape, 'float32', 'optimizer', label);
    this.#tensors.push(tensor);
    return tensor;
  }
}
