import { DeviceError, type DType, type Tensor } from '@emloc/device';

/**
 * Freed bytes that are kept; beyond them the sizes that were freed longest ago go back to the
 * garbage collector.
 */
const cacheLimitBytes = 512 * 2 ** 20;
const pageBytes = 4096;

/**
 * Allocates ArrayBuffers and keeps freed ones for the next allocations of their size class: a fresh
 * one costs a page fault for every 4 KiB, and lives until a garbage collection. Classes are an
 * eighth of a power of two apart, so batches of other lengths find memory too.
 */
export class MemoryPool {
  /** By size class, the one that was freed last at the end. */
  readonly #cache = new Map<number, ArrayBuffer[]>();
  #cachedBytes = 0;

  /** At least `bytes` bytes. @throws DeviceError DEVICE_OUT_OF_MEMORY */
  allocate(bytes: number): ArrayBuffer {
    const capacity = sizeClass(bytes);
    const cached = this.#cache.get(capacity)?.pop();
    if (cached) {
      this.#cachedBytes -= capacity;
      return cached;
    }
    try {
      return new ArrayBuffer(capacity);
    } catch (cause) {
      throw new DeviceError(
        'DEVICE_OUT_OF_MEMORY',
        `cpu device: the system has no room for ${bytes} bytes`,
        { cause },
      );
    }
  }

  free(buffer: ArrayBuffer): void {
    const capacity = buffer.byteLength;
    const list = this.#cache.get(capacity) ?? [];
    list.push(buffer);
    this.#cache.delete(capacity);
    this.#cache.set(capacity, list);
    this.#cachedBytes += capacity;
    while (this.#cachedBytes > cacheLimitBytes) this.#evict();
  }

  clear(): void {
    this.#cache.clear();
    this.#cachedBytes = 0;
  }

  #evict(): void {
    for (const [capacity, list] of this.#cache) {
      this.#cachedBytes -= capacity * list.length;
      this.#cache.delete(capacity);
      return;
    }
  }
}

/**
 * The smallest class that holds `bytes`: below a page the size itself, above it at most an eighth
 * more.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= pageBytes) return bytes;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}

function assertDType(tensor: Tensor, dtype: DType): void {
  if (tensor.dtype === dtype) return;
  throw new DeviceError(
    'DEVICE_UNSUPPORTED',
    `cpu device: ${tensor.label} is ${tensor.dtype}, the kernel takes ${dtype}`,
  );
}

/**
 * The tensor's elements, without a copy.
 * @throws DeviceError DEVICE_UNSUPPORTED for another dtype
 */
export function float32(tensor: Tensor): Float32Array {
  assertDType(tensor, 'float32');
  return new Float32Array(tensor.handle as ArrayBuffer, tensor.elementOffset * 4, tensor.size);
}

/**
 * The tensor's elements, without a copy.
 * @throws DeviceError DEVICE_UNSUPPORTED for another dtype
 */
export function float64(tensor: Tensor): Float64Array {
  assertDType(tensor, 'float64');
  return new Float64Array(tensor.handle as ArrayBuffer, tensor.elementOffset * 8, tensor.size);
}

/**
 * The tensor's elements, without a copy.
 * @throws DeviceError DEVICE_UNSUPPORTED for another dtype
 */
export function int32(tensor: Tensor): Int32Array {
  assertDType(tensor, 'int32');
  return new Int32Array(tensor.handle as ArrayBuffer, tensor.elementOffset * 4, tensor.size);
}

/**
 * The tensor's float32 or float64 elements, without a copy.
 * @throws DeviceError DEVICE_UNSUPPORTED for other dtypes
 */
export function floats(tensor: Tensor): Float32Array | Float64Array {
  return tensor.dtype === 'float64' ? float64(tensor) : float32(tensor);
}
