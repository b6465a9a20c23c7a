import { type MemoryBudget, type MemoryCategory } from './budget.js';
import { byteLength, type DType, type HostDType } from './dtype.js';
import { DeviceError } from './errors.js';
import {
  factorizationNames,
  launchedKernelNames,
  type KernelName,
  type KernelOptions,
  type Kernels,
} from './kernels/index.js';
import type { DeviceProfile } from './profile.js';
import { Recorder, type LaunchRecorder } from './recorder.js';
import { Tensor } from './tensor.js';

/**
 * An array in host memory with its element type; `bytes` is row-major and aligned to the element
 * size.
 */
export interface HostArray {
  readonly bytes: Uint8Array;
  readonly dtype: HostDType;
}

/** Host memory that copies run fastest from (page-locked where the device has such a thing). */
export interface HostBuffer {
  readonly bytes: Uint8Array;
  dispose(): void;
}

/**
 * 'compute' orders kernels, 'copy' runs beside it. On a synchronous device both are the calling
 * thread.
 */
export type StreamName = 'compute' | 'copy';

/** A point in a stream. */
export interface DeviceEvent {
  /** Resolves when the work recorded before it is done. */
  wait(): Promise<void>;
  dispose(): void;
}

export type HostValues = Float32Array | Float64Array | Int32Array;

/**
 * What a device package implements. It does no accounting: `Device` reserves memory and workspaces
 * around it. A handle is whatever the backend wants to find again in `Tensor.handle`; views share
 * it and add `elementOffset`.
 */
export interface Backend<Handle = unknown> {
  readonly profile: DeviceProfile;
  readonly kernels: Kernels;
  /**
   * @throws DeviceError DEVICE_OUT_OF_MEMORY when the hardware has no room. Contents are undefined.
   */
  allocate(bytes: number, dtype: DType): Handle;
  free(handle: Handle): void;
  /**
   * Copies with conversion to the tensor's dtype. `source.bytes` stays untouched until an event
   * recorded after it is done.
   */
  upload(destination: Tensor, source: HostArray, stream: StreamName): void;
  /** Values after everything launched so far; bfloat16 is widened to float32. */
  download(source: Tensor): Promise<HostValues>;
  /** Raw bytes in the tensor's dtype, into host memory of exactly that size. */
  downloadBytes(source: Tensor, destination: Uint8Array): Promise<void>;
  allocateHost(bytes: number): HostBuffer;
  /**
   * Host buffers that are given back are kept, where coming by such memory takes time, for the next
   * who asks for as much, as long as all of them together take no more than so many bytes; of what
   * was said before the most counts. They go back with the device. Absent: none is kept.
   */
  keepHostMemory?(bytes: number): void;
  /** Of host buffers that are kept and that nobody uses. */
  readonly spareHostBytes?: number;
  /**
   * Of a backend that holds no values: so many zeros in place of any, to be read only. Absent: it
   * holds values.
   */
  blank?(count: number): Float32Array;
  record(stream: StreamName): DeviceEvent;
  /** Absent or null: launches are made one by one. */
  readonly recorder?: LaunchRecorder | null;
  /** Work launched on `stream` from now on starts after `event`. */
  streamWait(stream: StreamName, event: DeviceEvent): void;
  synchronize(): Promise<void>;
  close(): Promise<void>;
}

/** A device under a memory budget: the only thing that engines see. */
export class Device {
  readonly profile: DeviceProfile;
  /** The backend's kernels, each with its workspace reserved for the duration of the call. */
  readonly kernels: Kernels;
  /** Null: launches are made one by one. */
  readonly recorder: Recorder | null;
  readonly #reserve;
  #liveTensors = 0;
  #closed = false;

  constructor(
    private readonly backend: Backend,
    readonly budget: MemoryBudget,
  ) {
    this.profile = backend.profile;
    this.kernels = accountWorkspaces(backend, budget);
    this.recorder = backend.recorder ? new Recorder(backend.recorder, budget) : null;
    this.#reserve = budget.reserve(this.profile.reserveBytes, 'reserve', 'driver and libraries');
  }

  /** Tensors that are allocated and not yet freed; views do not count. */
  get liveTensors(): number {
    return this.#liveTensors;
  }

  /** Bytes that an allocation of this shape takes from the budget. */
  allocatedBytes(shape: readonly number[], dtype: DType): number {
    const granule = this.profile.allocationBytes;
    return Math.ceil(byteLength(shape, dtype) / granule) * granule;
  }

  /** An uninitialised tensor. @throws OutOfBudgetError */
  allocate(
    shape: readonly number[],
    dtype: DType,
    category: MemoryCategory,
    label: string,
  ): Tensor {
    const bytes = this.allocatedBytes(shape, dtype);
    const reservation = this.budget.reserve(bytes, category, label);
    let handle: unknown;
    try {
      handle = this.backend.allocate(bytes, dtype);
    } catch (error) {
      reservation.release();
      throw error;
    }
    this.#liveTensors += 1;
    return new Tensor(shape, dtype, label, handle, () => {
      this.#liveTensors -= 1;
      this.backend.free(handle);
      reservation.release();
    });
  }

  /** A tensor with the given contents, copied on the compute stream. */
  tensor(
    source: HostArray,
    shape: readonly number[],
    dtype: DType,
    category: MemoryCategory,
    label: string,
  ): Tensor {
    const tensor = this.allocate(shape, dtype, category, label);
    try {
      this.upload(tensor, source);
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /**
   * Copies with conversion. `source` must stay untouched until an event recorded on `stream`
   * afterwards is done.
   */
  upload(destination: Tensor, source: HostArray, stream: StreamName = 'compute'): void {
    const expected = byteLength(destination.shape, source.dtype);
    if (source.bytes.byteLength !== expected) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `upload to ${destination.label}: ${source.bytes.byteLength} bytes for a shape that takes ${expected}`,
      );
    }
    this.backend.upload(destination, source, stream);
  }

  download(source: Tensor): Promise<HostValues> {
    return this.backend.download(source);
  }

  downloadBytes(source: Tensor, destination: Uint8Array): Promise<void> {
    return this.backend.downloadBytes(source, destination);
  }

  allocateHost(bytes: number): HostBuffer {
    return this.backend.allocateHost(bytes);
  }

  /** See Backend.keepHostMemory. */
  keepHostMemory(bytes: number): void {
    this.backend.keepHostMemory?.(bytes);
  }

  /** See Backend.spareHostBytes. */
  get spareHostBytes(): number {
    return this.backend.spareHostBytes ?? 0;
  }

  /**
   * So many zeros, to be read only, in place of values that would take time to make; null: this
   * device holds values.
   */
  blank(count: number): Float32Array | null {
    return this.backend.blank?.(count) ?? null;
  }

  record(stream: StreamName): DeviceEvent {
    return this.backend.record(stream);
  }

  streamWait(stream: StreamName, event: DeviceEvent): void {
    this.backend.streamWait(stream, event);
  }

  synchronize(): Promise<void> {
    return this.backend.synchronize();
  }

  /** Releases the device. @throws DeviceError when tensors are still alive: a leak. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.backend.close();
    this.#reserve.release();
    if (this.#liveTensors > 0) {
      throw new DeviceError(
        'DEVICE_NATIVE_FAILURE',
        `device closed with ${this.#liveTensors} tensors alive`,
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function accountWorkspaces(backend: Backend, budget: MemoryBudget): Kernels {
  const { kernels, profile } = backend;
  const reserve = <K extends KernelName>(name: K, options: KernelOptions<K>) => {
    const bytes = profile.workspaceBytes[name]?.(options) ?? 0;
    return bytes > 0 ? budget.reserve(bytes, 'workspace', `workspace of ${name}`) : null;
  };
  const launched = launchedKernelNames.map((name) => {
    const kernel = kernels[name].bind(kernels) as (options: unknown) => void;
    return [
      name,
      (options: never) => {
        const workspace = reserve(name, options);
        try {
          kernel(options);
        } finally {
          workspace?.release();
        }
      },
    ];
  });
  const awaited = factorizationNames.map((name) => {
    const kernel = kernels[name].bind(kernels) as (options: unknown) => Promise<unknown>;
    return [
      name,
      async (options: never) => {
        const workspace = reserve(name, options);
        try {
          return await kernel(options);
        } finally {
          workspace?.release();
        }
      },
    ];
  });
  return withBias(Object.fromEntries([...launched, ...awaited]) as Kernels, profile);
}

/** Products add a bias by a launch of its own where the backend's do not. */
function withBias(kernels: Kernels, { gemmAddsBias = false }: DeviceProfile): Kernels {
  if (gemmAddsBias) return kernels;
  const { gemm, addBias } = kernels;
  return {
    ...kernels,
    gemm: (options) => {
      const { bias, out } = options;
      gemm(bias ? { ...options, bias: null } : options);
      if (bias) addBias({ bias, out });
    },
  };
}
