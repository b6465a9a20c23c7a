import {
  DeviceError,
  factorizationNames,
  factorizations,
  kernelDefinitions,
  launchedKernelNames,
  sharedZeros,
  type Backend,
  type DeviceEvent,
  type DeviceProfile,
  type HostArray,
  type HostBuffer,
  type HostValues,
  type KernelName,
  type Kernels,
  type StreamName,
  type Tensor,
  type Work,
} from '@emloc/device';

/** Bytes that crossed between host and device, uploads by the stream that they were put on. */
interface TransferredBytes {
  readonly uploaded: Readonly<Record<StreamName, number>>;
  readonly downloaded: number;
}

/** The work of all launches of one kernel. */
export interface KernelWork extends Work {
  readonly calls: number;
  readonly float64Flops: number;
}

/** A device without memory or arithmetic that counts what it is asked to do. */
export interface NullBackend extends Backend {
  /** Work so far, by kernel; a kernel that was never launched has no entry. A snapshot. */
  readonly work: ReadonlyMap<KernelName, KernelWork>;
  /** Transfers so far. A snapshot. */
  readonly transferred: TransferredBytes;
}

/**
 * A backend that plans for the device with this profile: dtypes, allocation granule, workspaces and
 * reserve are the profile's. It allocates nothing; kernels check their operands' shapes and do
 * nothing; cholesky finds every matrix positive definite; events are done at once. `download` gives
 * zeros, large ones to be read only, since they share their memory; `downloadBytes` writes nothing;
 * all host buffers are the same memory.
 */
export function createNullBackend(profile: DeviceProfile): NullBackend {
  return new CountingBackend(profile);
}

const finished: DeviceEvent = Object.freeze({
  wait: () => Promise.resolve(),
  dispose: () => undefined,
});

class CountingBackend implements NullBackend {
  readonly kernels: Kernels;
  readonly #work = new Map<KernelName, KernelWork>();
  readonly #uploaded: Record<StreamName, number> = { compute: 0, copy: 0 };
  readonly #live = new Set<symbol>();
  readonly #hostMemory = new SharedHostMemory();
  /** Held, so that all who ask for zeros share these. */
  #zeros = new ArrayBuffer(0);
  #downloaded = 0;

  constructor(readonly profile: DeviceProfile) {
    this.kernels = this.#createKernels();
  }

  get work(): ReadonlyMap<KernelName, KernelWork> {
    return new Map(this.#work);
  }

  get transferred(): TransferredBytes {
    return { uploaded: { ...this.#uploaded }, downloaded: this.#downloaded };
  }

  allocate(): symbol {
    const handle = Symbol('null memory');
    this.#live.add(handle);
    return handle;
  }

  free(handle: unknown): void {
    if (this.#live.delete(handle as symbol)) return;
    throw new DeviceError(
      'DEVICE_USE_AFTER_DISPOSE',
      'null device: memory freed that is not allocated',
    );
  }

  upload(destination: Tensor, source: HostArray, stream: StreamName): void {
    void destination.handle;
    this.#uploaded[stream] += source.bytes.byteLength;
  }

  async download(source: Tensor): Promise<HostValues> {
    this.#countDownload(source);
    const elementBytes = source.dtype === 'float64' ? 8 : 4;
    const memory = this.#zerosOf(source.size * elementBytes);
    if (source.dtype === 'int32') return new Int32Array(memory, 0, source.size);
    return source.dtype === 'float64'
      ? new Float64Array(memory, 0, source.size)
      : new Float32Array(memory, 0, source.size);
  }

  async downloadBytes(source: Tensor, destination: Uint8Array): Promise<void> {
    if (destination.byteLength !== source.byteLength) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `download of ${source.label}: ${destination.byteLength} bytes of room for ${source.byteLength}`,
      );
    }
    this.#countDownload(source);
  }

  allocateHost(bytes: number): HostBuffer {
    return new LazyHostBuffer(bytes, this.#hostMemory);
  }

  blank(count: number): Float32Array {
    return new Float32Array(this.#zerosOf(4 * count), 0, count);
  }

  record(): DeviceEvent {
    return finished;
  }

  streamWait(): void {}

  async synchronize(): Promise<void> {}

  async close(): Promise<void> {}

  #countDownload(source: Tensor): void {
    void source.handle;
    this.#downloaded += source.byteLength;
  }

  #zerosOf(bytes: number): ArrayBuffer {
    if (bytes < sharedBytes) return new ArrayBuffer(bytes);
    if (this.#zeros.byteLength < bytes) this.#zeros = sharedZeros(bytes);
    return this.#zeros;
  }

  #count(kernel: KernelName, { flops, bytes, float64Flops = 0 }: Work): void {
    const before = this.#work.get(kernel) ?? { calls: 0, flops: 0, bytes: 0, float64Flops: 0 };
    this.#work.set(kernel, {
      calls: before.calls + 1,
      flops: before.flops + flops,
      bytes: before.bytes + bytes,
      float64Flops: before.float64Flops + float64Flops,
    });
  }

  #createKernels(): Kernels {
    const counted = (name: KernelName) => {
      const work = kernelDefinitions[name].work as (options: unknown) => Work;
      return (options: unknown) => this.#count(name, work(options));
    };
    const launched = launchedKernelNames.map((name) => [name, counted(name)]);
    const awaited = factorizationNames.map((name) => {
      const count = counted(name);
      return [
        name,
        async (options: unknown) => {
          count(options);
          return factorizations[name].planned;
        },
      ];
    });
    return Object.fromEntries([...launched, ...awaited]) as Kernels;
  }
}

/**
 * From this size on, zeros share their memory: a plan downloads statistics of gigabytes, and
 * touching them would be most of its time.
 */
const sharedBytes = 2 ** 14;

/** Host memory that exists only once somebody looks at it. */
class LazyHostBuffer implements HostBuffer {
  constructor(
    private readonly length: number,
    private readonly memory: SharedHostMemory,
  ) {}

  get bytes(): Uint8Array {
    return this.memory.first(this.length);
  }

  dispose(): void {}
}

/** As large as the largest buffer that was looked at. */
class SharedHostMemory {
  #memory = new ArrayBuffer(0);

  first(bytes: number): Uint8Array {
    if (this.#memory.byteLength < bytes) this.#memory = new ArrayBuffer(bytes);
    return new Uint8Array(this.#memory, 0, bytes);
  }
}
