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

import type { KernelWork } from './kernel-work.js';
import { CountingRecorder, type HostLaunches } from './null-recorder.js';

/** Bytes that crossed between host and device, uploads by the stream that they were put on. */
interface TransferredBytes {
  readonly uploaded: Readonly<Record<StreamName, number>>;
  readonly downloaded: number;
}

/** A device without memory or arithmetic that counts what it is asked to do. */
export interface NullBackend extends Backend {
  /** Work so far, by kernel; a kernel that was never launched has no entry. A snapshot. */
  readonly work: ReadonlyMap<KernelName, KernelWork>;
  /** Of the host, of that work. A snapshot. */
  readonly launches: HostLaunches;
  /** Transfers so far. A snapshot. */
  readonly transferred: TransferredBytes;
}

/**
 * A backend that plans for the device with this profile: dtypes, allocation granule, workspaces and
 * reserve are the profile's. It allocates nothing; kernels check their operands' shapes and do
 * nothing; cholesky finds every matrix positive definite; events are done at once. `download` gives
 * zeros, large ones to be read only, since they share their memory; `downloadBytes` writes nothing;
 * all host buffers are the same memory. Where the device makes launches apart from the host, they
 * are recorded, and every recording fits.
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
  readonly recorder: CountingRecorder | null;
  readonly #counter = new CountingRecorder();
  readonly #uploaded: Record<StreamName, number> = { compute: 0, copy: 0 };
  readonly #live = new Set<symbol>();
  readonly #hostMemory = new SharedHostMemory();
  /** Held, so that all who ask for zeros share these. */
  #zeros = new ArrayBuffer(0);
  #downloaded = 0;

  constructor(readonly profile: DeviceProfile) {
    this.kernels = this.#createKernels();
    this.recorder = (profile.launchOperations ?? 0) > 0 ? this.#counter : null;
  }

  get work(): ReadonlyMap<KernelName, KernelWork> {
    return this.#counter.work;
  }

  get launches(): HostLaunches {
    return this.#counter.launches;
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
    if (stream === 'compute') this.#counter.interrupt();
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

  record(stream: StreamName): DeviceEvent {
    if (stream === 'compute') this.#counter.interrupt();
    return finished;
  }

  streamWait(stream: StreamName): void {
    if (stream === 'compute') this.#counter.interrupt();
  }

  async synchronize(): Promise<void> {
    this.#counter.interrupt();
  }

  async close(): Promise<void> {}

  #countDownload(source: Tensor): void {
    void source.handle;
    this.#counter.interrupt();
    this.#downloaded += source.byteLength;
  }

  #zerosOf(bytes: number): ArrayBuffer {
    if (bytes < sharedBytes) return new ArrayBuffer(bytes);
    if (this.#zeros.byteLength < bytes) this.#zeros = sharedZeros(bytes);
    return this.#zeros;
  }

  #createKernels(): Kernels {
    const counted = (name: KernelName) => {
      const work = kernelDefinitions[name].work as (options: unknown) => Work;
      return (options: unknown) =>
        this.#counter.count(name, { float64Flops: 0, ...work(options), calls: 1 });
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
