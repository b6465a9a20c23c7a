import {
  bytesPerElement,
  DeviceError,
  type DType,
  type HostArray,
  type Tensor,
} from '@emloc/device';
import { convert, elementsOf } from '@emloc/device-cpu';
import type * as tfjs from '@tensorflow/tfjs-core';

/** What `@tensorflow/tfjs-core`, `tfjs-node` and `tfjs-node-gpu` have in common. */
export type Tf = typeof tfjs;

/** Elements of one allocation: an immutable one-dimensional tensor, which every write replaces. */
interface Cell {
  readonly size: number;
  readonly dtype: 'float32' | 'int32';
  /** null before the first write. */
  value: tfjs.Tensor1D | null;
  /** The same integers on the host, where they came from there. */
  host: Int32Array | null;
}

/**
 * Device tensors over TensorFlow's immutable ones. Whatever `read` and kernels make belongs to the
 * enclosing `tf.tidy`.
 */
export class TensorMemory {
  readonly #cells = new Set<Cell>();

  constructor(private readonly tf: Tf) {}

  /** @throws DeviceError DEVICE_UNSUPPORTED for dtypes that TensorFlow.js does not have */
  allocate(bytes: number, dtype: DType): Cell {
    if (dtype !== 'float32' && dtype !== 'int32')
      throw new DeviceError('DEVICE_UNSUPPORTED', `tfjs device: TensorFlow.js has no ${dtype}`);
    const cell: Cell = { size: bytes / bytesPerElement[dtype], dtype, value: null, host: null };
    this.#cells.add(cell);
    return cell;
  }

  free(handle: unknown): void {
    const cell = handle as Cell;
    this.#cells.delete(cell);
    cell.value?.dispose();
    cell.value = null;
  }

  /** Frees what is left. */
  clear(): void {
    for (const cell of this.#cells) this.free(cell);
  }

  /**
   * The elements in the tensor's shape.
   * @throws DeviceError DEVICE_UNSUPPORTED for another dtype
   */
  float32<T extends tfjs.Tensor = tfjs.Tensor>(tensor: Tensor): T {
    return this.#typed(tensor, 'float32') as T;
  }

  /** As `float32`. */
  int32(tensor: Tensor): tfjs.Tensor1D {
    return this.#typed(tensor, 'int32') as tfjs.Tensor1D;
  }

  /** The elements, whatever their dtype. */
  read(tensor: Tensor): tfjs.Tensor {
    const cell = tensor.handle as Cell;
    const { value = null, size } = cell;
    if (value === null) return this.tf.zeros([...tensor.shape], cell.dtype);
    const part =
      tensor.size === size ? value : this.tf.slice1d(value, tensor.elementOffset, tensor.size);
    return this.tf.reshape(part, [...tensor.shape]);
  }

  /** Integers on the host; the device is asked only where a kernel wrote them. */
  indices(tensor: Tensor): Int32Array {
    const { host } = tensor.handle as Cell;
    if (host) return host.subarray(tensor.elementOffset, tensor.elementOffset + tensor.size);
    return this.tf.tidy(() => this.int32(tensor).dataSync()) as Int32Array;
  }

  /**
   * Replaces the tensor's elements, and keeps those around a view. `value` may be another tensor's,
   * under whatever shape.
   */
  write(tensor: Tensor, value: tfjs.Tensor): void {
    const cell = tensor.handle as Cell;
    if (tensor.size === 0) return;
    this.#replace(
      cell,
      tensor.size === cell.size
        ? this.tf.reshape(value, [cell.size])
        : this.#spliced(tensor, value),
    );
    cell.host = null;
  }

  /** Copies from host memory with conversion to float32, or of integers. */
  upload(tensor: Tensor, { bytes, dtype }: HostArray): void {
    const cell = tensor.handle as Cell;
    const elements =
      cell.dtype === 'int32' ? new Int32Array(tensor.size) : new Float32Array(tensor.size);
    convert(elementsOf(bytes, dtype), dtype, elements, cell.dtype);
    this.tf.tidy(() => this.write(tensor, this.tf.tensor1d(elements, cell.dtype)));
    if (elements instanceof Int32Array && tensor.size === cell.size) cell.host = elements;
  }

  #typed(tensor: Tensor, dtype: 'float32' | 'int32'): tfjs.Tensor {
    if (tensor.dtype === dtype) return this.read(tensor);
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `tfjs device: ${tensor.label} is ${tensor.dtype}, the kernel takes ${dtype}`,
    );
  }

  /** All elements of the allocation, those of the view replaced. */
  #spliced({ handle, elementOffset, size }: Tensor, value: tfjs.Tensor): tfjs.Tensor1D {
    const { tf } = this;
    const cell = handle as Cell;
    const old = cell.value ?? tf.zeros([cell.size], cell.dtype);
    const end = elementOffset + size;
    const around = [
      tf.slice1d(old, 0, elementOffset),
      tf.reshape(value, [size]),
      tf.slice1d(old, end, cell.size - end),
    ];
    return tf.concat(around.filter((part) => part.size > 0)) as tfjs.Tensor1D;
  }

  #replace(cell: Cell, value: tfjs.Tensor): void {
    const old = cell.value;
    cell.value = this.tf.keep(value) as tfjs.Tensor1D;
    old?.dispose();
  }
}
