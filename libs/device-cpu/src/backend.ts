import {
  DeviceError,
  type Backend,
  type DeviceEvent,
  type HostArray,
  type HostBuffer,
  type HostValues,
  type Kernels,
  type Tensor,
} from '@emloc/device';

import { convert, elementsOf } from './convert.js';
import { createLinearAlgebra, type CpuOptions } from './create-linear-algebra.js';
import { bytesOf } from './elements.js';
import { createKernels } from './kernels/index.js';
import type { LinearAlgebra } from './linear-algebra.js';
import { MemoryPool } from './memory.js';
import { cpuProfile } from './profile.js';
import { Scratch } from './scratch.js';
import { instantiateKernels } from './wasm.js';

/**
 * The CPU as a device: float32, kernels run in the calling thread (and the threads of its BLAS)
 * before a launch returns, so both streams are that thread. Device memory is ordinary memory,
 * counted.
 * @throws DeviceError DEVICE_UNAVAILABLE when the BLAS or the SIMD that was asked for cannot be
 * had
 */
export function createCpuBackend(options: CpuOptions = {}): Backend {
  const wasm = instantiateKernels(options.relaxedSimd);
  const scratch = new Scratch(wasm);
  const linearAlgebra: LinearAlgebra = createLinearAlgebra(options, wasm, scratch);
  return new CpuBackend(createKernels({ linearAlgebra, scratch, wasm }));
}

const finished: DeviceEvent = Object.freeze({
  wait: () => Promise.resolve(),
  dispose: () => undefined,
});

class CpuBackend implements Backend {
  readonly profile = cpuProfile;
  readonly #pool = new MemoryPool();

  constructor(readonly kernels: Kernels) {}

  allocate(bytes: number): ArrayBuffer {
    return this.#pool.allocate(bytes);
  }

  free(handle: unknown): void {
    this.#pool.free(handle as ArrayBuffer);
  }

  upload(destination: Tensor, { bytes, dtype }: HostArray): void {
    convert(
      elementsOf(bytes, dtype),
      dtype,
      elementsOf(bytesOf(destination), destination.dtype),
      destination.dtype,
    );
  }

  async download(source: Tensor): Promise<HostValues> {
    const values = elementsOf(bytesOf(source), source.dtype);
    if (!(values instanceof Uint16Array)) return values.slice();
    const wide = new Float32Array(values.length);
    convert(values, source.dtype, wide, 'float32');
    return wide;
  }

  async downloadBytes(source: Tensor, destination: Uint8Array): Promise<void> {
    if (destination.byteLength !== source.byteLength) {
      const message = `download of ${source.label}: ${destination.byteLength} bytes of room for ${source.byteLength}`;
      throw new DeviceError('DEVICE_SHAPE_MISMATCH', message);
    }
    destination.set(bytesOf(source));
  }

  allocateHost(bytes: number): HostBuffer {
    return { bytes: new Uint8Array(bytes), dispose: () => undefined };
  }

  record(): DeviceEvent {
    return finished;
  }

  streamWait(): void {}

  async synchronize(): Promise<void> {}

  async close(): Promise<void> {
    this.#pool.clear();
  }
}
