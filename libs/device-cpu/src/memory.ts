import { DeviceError, type DType, type Tensor } from '@emloc/device';

/** Cached bytes beyond which freed memory goes back to the garbage collector. */
const cacheLimitBytes = 256 * 2 ** 20;

/** Buffers come in sizes of at most an eighth more than was asked for, so that batches of nearly equal length share them. */
function sizeClass(bytes: number): number {
  const step = 2 ** Math.max(6, Math.floor(Math.log2(Math.max(1, bytes))) - 3);
  return Math.ceil(bytes / step) * step;
}

/**
 * Allocates ArrayBuffers and keeps freed ones for the next allocation of about their size: a fresh one costs a page fault for every
 * 4 KiB, and lives until a garbage collection. A buffer may be longer than what was asked for.
 */
export class MemoryPool {
  readonly #cache = new Map<number, ArrayBuffer[]>();
  #cachedBytes = 0;

  /** @throws DeviceError DEVICE_OUT_OF_MEMORY */
  allocate(requestedBytes: number): ArrayBuffer {
    const bytes = sizeClass(requestedBytes);
    const cached = this.#cache.get(bytes)?.pop();
    if (cached) {
      this.#cachedBytes -= bytes;
      return cached;
    }
    try {
      return new ArrayBuffer(bytes);
    } catch (cause) {
      throw new DeviceError('DEVICE_OUT_OF_MEMORY', `cpu device: the system has no room for ${bytes} bytes`, { cause });
    }
  }

  free(buffer: ArrayBuffer): void {
    const bytes = buffer.byteLength;
    if (bytes === 0) return;
    if (this.#cachedBytes + bytes > cacheLimitBytes) this.clear();
    if (bytes > cacheLimitBytes) return;
    const list = this.#cache.get(bytes);
    if (list) list.push(buffer);
    else this.#cache.set(bytes, [buffer]);
    this.#cachedBytes += bytes;
  }

  clear(): void {
    this.#cache.clear();
    this.#cachedBytes = 0;
  }
}

function assertDType(tensor: Tensor, dtype: DType): void {
  if (tensor.dtype === dtype) return;
  throw new DeviceError('DEVICE_UNSUPPORTED', `cpu device: ${tensor.label} is ${tensor.dtype}, the kernel takes ${dtype}`);
}

/** The tensor's elements, without a copy. @throws DeviceError DEVICE_UNSUPPORTED for another dtype */
export function float32(tensor: Tensor): Float32Array {
  assertDType(tensor, 'float32');
  return new Float32Array(tensor.handle as ArrayBuffer, tensor.elementOffset * 4, tensor.size);
}

/** The tensor's elements, without a copy. @throws DeviceError DEVICE_UNSUPPORTED for another dtype */
export function float64(tensor: Tensor): Float64Array {
  assertDType(tensor, 'float64');
  return new Float64Array(tensor.handle as ArrayBuffer, tensor.elementOffset * 8, tensor.size);
}

/** The tensor's elements, without a copy. @throws DeviceError DEVICE_UNSUPPORTED for another dtype */
export function int32(tensor: Tensor): Int32Array {
  assertDType(tensor, 'int32');
  return new Int32Array(tensor.handle as ArrayBuffer, tensor.elementOffset * 4, tensor.size);
}

/** The tensor's float32 or float64 elements, without a copy. @throws DeviceError DEVICE_UNSUPPORTED for other dtypes */
export function floats(tensor: Tensor): Float32Array | Float64Array {
  return tensor.dtype === 'float64' ? float64(tensor) : float32(tensor);
}
