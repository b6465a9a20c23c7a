import {
  DeviceError,
  type Backend,
  type DeviceEvent,
  type DType,
  type HostArray,
  type HostBuffer,
  type HostValues,
  type Tensor,
} from '@emloc/device';
import { hostFactorizations } from '@emloc/device-cpu';

import { deviceErrorOf } from './device-error.js';
import { createKernels } from './kernels/index.js';
import { holdBackend, loadTfjs, type LoadedTfjs, type TfjsRuntime } from './load.js';
import { TensorMemory, type Tf } from './memory.js';
import { tfjsProfile } from './profile.js';

/**
 * TensorFlow.js as a device: float32. A launch hands its operations over before it returns, in
 * order, and copies are done at once, so both streams are the calling thread. Memory is counted at
 * this interface: TensorFlow's own pool cannot be capped.
 * @throws DeviceError DEVICE_UNAVAILABLE where TensorFlow.js is not installed or does not start
 */
export function createTfjsBackend(runtime: TfjsRuntime = 'native'): Backend {
  return new TfjsBackend(loadTfjs(runtime));
}

const finished: DeviceEvent = Object.freeze({
  wait: () => Promise.resolve(),
  dispose: () => undefined,
});

class TfjsBackend implements Backend {
  readonly profile = tfjsProfile;
  readonly kernels;
  private readonly tf: Tf;
  readonly #memory;
  readonly #release;
  #closed = false;

  constructor({ tf, backend }: LoadedTfjs) {
    this.tf = tf;
    this.#release = holdBackend(backend);
    this.#memory = new TensorMemory(tf);
    this.kernels = createKernels({
      tf,
      memory: this.#memory,
      factorizations: hostFactorizations(),
    });
  }

  allocate(bytes: number, dtype: DType): unknown {
    return this.#memory.allocate(bytes, dtype);
  }

  free(handle: unknown): void {
    this.#memory.free(handle);
  }

  upload(destination: Tensor, source: HostArray): void {
    try {
      this.#memory.upload(destination, source);
    } catch (error) {
      throw deviceErrorOf('upload', error);
    }
  }

  async download(source: Tensor): Promise<HostValues> {
    const value = this.tf.tidy(() => this.#memory.read(source));
    try {
      // The plain JavaScript backend gives its own array away.
      return (await value.data()).slice() as HostValues;
    } catch (error) {
      throw deviceErrorOf('download', error);
    } finally {
      value.dispose();
    }
  }

  async downloadBytes(source: Tensor, destination: Uint8Array): Promise<void> {
    if (destination.byteLength !== source.byteLength) {
      const message = `download of ${source.label}: ${destination.byteLength} bytes of room for ${source.byteLength}`;
      throw new DeviceError('DEVICE_SHAPE_MISMATCH', message);
    }
    const { buffer, byteOffset, byteLength } = await this.download(source);
    destination.set(new Uint8Array(buffer, byteOffset, byteLength));
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
    if (this.#closed) return;
    this.#closed = true;
    this.#memory.clear();
    this.#release();
  }
}
