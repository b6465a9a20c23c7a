import {
  DeviceError,
  formatBytes,
  type Backend,
  type DType,
  type HostBuffer,
  type Tensor,
} from '@emloc/device';

/**
 * Counts allocations, of device and of host memory, and refuses one of them as a full device would.
 */
export class AllocationFaults {
  #count = 0;

  /** @param refused index of the allocation that fails; null: they are only counted. */
  constructor(private readonly refused: number | null) {}

  /** Allocations asked for so far. */
  get count(): number {
    return this.#count;
  }

  /** Whether the allocation to refuse was asked for. */
  get hasRefused(): boolean {
    return this.refused !== null && this.#count > this.refused;
  }

  /** To be called before each allocation. @throws DeviceError DEVICE_OUT_OF_MEMORY once */
  readonly check = (bytes: number): void => {
    const index = this.#count;
    this.#count += 1;
    if (index === this.refused)
      throw new DeviceError(
        'DEVICE_OUT_OF_MEMORY',
        `injected fault: allocation ${index}, ${formatBytes(bytes)}, refused`,
      );
  };
}

/** A backend whose allocations can fail, and which knows what of it is still held. */
export interface FaultyBackend extends Backend {
  readonly liveAllocations: number;
  readonly liveHostBuffers: number;
}

export interface FaultyBackendOptions {
  /**
   * Whether `faults` sees device memory here; false where the backend itself reports every
   * allocation, its scratch memory too. Default true.
   */
  readonly checksDevice?: boolean;
}

/** Injects faults into `backend`, which `close` leaves open, so that many runs can share it. */
export function faultyBackend(
  backend: Backend,
  faults: AllocationFaults,
  { checksDevice = true }: FaultyBackendOptions = {},
): FaultyBackend {
  const live = new Set<unknown>();
  let hostBuffers = 0;
  return {
    profile: backend.profile,
    kernels: backend.kernels,
    get liveAllocations() {
      return live.size;
    },
    get liveHostBuffers() {
      return hostBuffers;
    },
    allocate: (bytes: number, dtype: DType) => {
      if (checksDevice) faults.check(bytes);
      const handle = backend.allocate(bytes, dtype);
      live.add(handle);
      return handle;
    },
    free: (handle) => {
      live.delete(handle);
      backend.free(handle);
    },
    allocateHost: (bytes: number): HostBuffer => {
      faults.check(bytes);
      const buffer = backend.allocateHost(bytes);
      hostBuffers += 1;
      let isHeld = true;
      return {
        get bytes() {
          return buffer.bytes;
        },
        dispose: () => {
          if (isHeld) hostBuffers -= 1;
          isHeld = false;
          buffer.dispose();
        },
      };
    },
    upload: (destination: Tensor, source, stream) => backend.upload(destination, source, stream),
    download: (source: Tensor) => backend.download(source),
    downloadBytes: (source: Tensor, destination) => backend.downloadBytes(source, destination),
    record: (stream) => backend.record(stream),
    streamWait: (stream, event) => backend.streamWait(stream, event),
    synchronize: () => backend.synchronize(),
    close: () => backend.synchronize(),
  };
}
