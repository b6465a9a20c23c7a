import { DeviceError } from '@emloc/device';

import type { WasmKernels } from './wasm.js';

const pageBytes = 65536;
/** Before it lie constants of the module, after address 0, so that no scratch address is falsy. */
const firstAddress = 64;
const granuleBytes = 64;

/** Bytes that `Scratch.take` takes for one array. */
export function scratchBytes(bytes: number): number {
  return Math.ceil(bytes / granuleBytes) * granuleBytes;
}

/**
 * Scratch memory of one kernel call, inside the WebAssembly memory, where WebAssembly kernels and
 * BLAS both reach it. A call opens it with the bytes that the profile declares; taking more than
 * that fails, so the declared workspaces are what kernels really use.
 */
export class Scratch {
  #top = firstAddress;
  #end = firstAddress;

  constructor(private readonly kernels: WasmKernels) {
    // Empty views need an address inside the memory too.
    this.#ensure(pageBytes);
  }

  /** Runs a kernel with `bytes` of scratch. Views into it are valid until `run` returns. */
  run<T>(bytes: number, kernel: () => T): T {
    this.#ensure(firstAddress + bytes);
    this.#end = firstAddress + bytes;
    try {
      return kernel();
    } finally {
      this.#top = firstAddress;
      this.#end = firstAddress;
    }
  }

  /** Address of `bytes` bytes, 64-byte aligned, contents undefined. */
  take(bytes: number): number {
    const address = this.#top;
    const top = address + scratchBytes(bytes);
    if (top > this.#end) {
      throw new DeviceError(
        'DEVICE_NATIVE_FAILURE',
        `cpu device: kernel takes ${top - firstAddress} bytes of scratch, its profile declares ${this.#end - firstAddress}`,
      );
    }
    this.#top = top;
    return address;
  }

  /** Where `take` is now, for `release` to return to. */
  get mark(): number {
    return this.#top;
  }

  release(mark: number): void {
    this.#top = mark;
  }

  float32(address: number, count: number): Float32Array {
    return new Float32Array(this.kernels.memory.buffer, address, count);
  }

  float64(address: number, count: number): Float64Array {
    return new Float64Array(this.kernels.memory.buffer, address, count);
  }

  #ensure(bytes: number): void {
    const { memory } = this.kernels;
    const missing = bytes - memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      memory.grow(Math.ceil(missing / pageBytes));
    } catch (cause) {
      throw new DeviceError(
        'DEVICE_OUT_OF_MEMORY',
        `cpu device: no room for ${bytes} bytes of scratch`,
        { cause },
      );
    }
  }
}
