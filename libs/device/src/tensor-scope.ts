import type { MemoryCategory } from './budget.js';
import type { Device } from './device.js';
import type { DType } from './dtype.js';
import type { Tensor } from './tensor.js';

interface ScopedAllocation {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly label: string;
  /** 'workspace' unless told otherwise. */
  readonly category?: MemoryCategory;
}

/** Owns the tensors of one computation, so that a failure anywhere leaves none behind. */
export class TensorScope {
  readonly #tensors = new Set<Tensor>();

  constructor(
    readonly device: Device,
    /** Prefix of the tensors' labels. */
    readonly label: string,
  ) {}

  allocate({ shape, dtype, label, category = 'workspace' }: ScopedAllocation): Tensor {
    return this.own(this.device.allocate(shape, dtype, category, `${this.label} ${label}`));
  }

  /** Takes a tensor over. */
  own(tensor: Tensor): Tensor {
    this.#tensors.add(tensor);
    return tensor;
  }

  /** A tensor with these values, converted to `dtype`. */
  upload(values: Float32Array | Float64Array, allocation: ScopedAllocation): Tensor {
    const tensor = this.allocate(allocation);
    this.uploadInto(tensor, values);
    return tensor;
  }

  /** Overwrites a tensor with these values, converted to its dtype. */
  uploadInto(tensor: Tensor, values: Float32Array | Float64Array): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.device.upload(tensor, {
      bytes,
      dtype: values instanceof Float64Array ? 'float64' : 'float32',
    });
  }

  free(...tensors: readonly Tensor[]): void {
    for (const tensor of tensors) if (this.#tensors.delete(tensor)) tensor.dispose();
  }

  /** Gives the tensor to the caller, who disposes it. */
  release(tensor: Tensor): Tensor {
    this.#tensors.delete(tensor);
    return tensor;
  }

  /** Frees what is still owned, in the order in which it came; may be called again. */
  [Symbol.dispose](): void {
    this.free(...this.#tensors);
  }
}
