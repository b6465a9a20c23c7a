import { DeviceError, formatBytes } from '@emloc/device';

import { Arena, type Allocation } from './arena.js';
import type { Driver } from './native/driver.js';
import { createPages, type Pages } from './pages.js';
import type { Streams } from './streams.js';

/**
 * Releases of at least this size get a fence of their own, so that a later copy into the memory
 * waits for no more than it must.
 */
const fencedBytes = 2 ** 18;

/** What `Tensor.handle` is on this device. */
export interface CudaMemory {
  readonly allocation: Allocation;
  /** The copy stream's last operation on this memory; 0 without one. */
  copiedAt: number;
}

export interface MemoryPoolOptions {
  readonly extentBytes: number;
  readonly streams: Streams;
  /** Device memory outside the arena, for moving overlapping stretches. */
  readonly bounce: { readonly address: number; readonly bytes: number };
  /** Told of every allocation before it is made; one that throws prevents it. */
  readonly onAllocate?: (bytes: number) => void;
}

/**
 * Device memory in one arena that never takes more from the card than its extent. Reuse is ordered
 * by the streams: memory that compute work may still read is handed out at once, since later
 * compute work comes after it, and the copy stream waits for exactly that work before it writes
 * there.
 */
export class CudaMemoryPool {
  readonly #arena: Arena;
  readonly #pages: Pages;
  readonly #streams: Streams;

  constructor(
    private readonly driver: Driver,
    device: number,
    private readonly options: MemoryPoolOptions,
  ) {
    this.#streams = options.streams;
    this.#arena = new Arena(options.extentBytes);
    this.#pages = createPages(driver, device, options.extentBytes);
  }

  get physicalBytes(): number {
    return this.#pages.physicalBytes;
  }

  /** @throws DeviceError DEVICE_OUT_OF_MEMORY when the arena or the card is full. */
  allocate(bytes: number): CudaMemory {
    this.options.onAllocate?.(bytes);
    const allocation =
      this.#arena.allocate(Math.max(bytes, 512)) ?? this.#allocateCompacted(Math.max(bytes, 512));
    try {
      this.#pages.ensure(allocation.offset + allocation.bytes);
    } catch (error) {
      this.#arena.free(allocation, allocation.reusedAt);
      throw error;
    }
    return { allocation, copiedAt: 0 };
  }

  free(memory: CudaMemory): void {
    if (memory.copiedAt > 0) this.#streams.waitForCopy(memory.copiedAt);
    if (memory.allocation.bytes >= fencedBytes) this.#streams.fenceCompute();
    if (!this.#arena.free(memory.allocation, this.#streams.positionOf('compute'))) {
      throw new DeviceError('DEVICE_USE_AFTER_DISPOSE', 'cuda: memory freed that is not allocated');
    }
  }

  /** The memory's address until the next `allocate`, which may move it. */
  addressOf(memory: CudaMemory): number {
    return this.#pages.baseAddress + memory.allocation.offset;
  }

  close(): void {
    this.#pages.close();
  }

  #allocateCompacted(bytes: number): Allocation {
    if (bytes <= this.#arena.freeBytes) {
      this.#compact();
      const allocation = this.#arena.allocate(bytes);
      if (allocation) return allocation;
    }
    throw new DeviceError(
      'DEVICE_OUT_OF_MEMORY',
      `cuda: ${formatBytes(bytes)} asked for, ${formatBytes(this.#arena.freeBytes)} of ${formatBytes(this.#arena.extentBytes)} free on the card`,
    );
  }

  /** Work in flight knows the old addresses, so it ends first. */
  #compact(): void {
    this.driver.cuCtxSynchronize();
    for (const { from, to, bytes } of this.#arena.compact(this.#streams.positionOf('compute') + 1))
      this.#move(from, to, bytes);
    this.#streams.advance('compute');
  }

  #move(from: number, to: number, bytes: number): void {
    const [{ baseAddress }, stream] = [this.#pages, this.#streams.handleOf('compute')];
    const { bounce } = this.options;
    for (let done = 0; done < bytes; done += bounce.bytes) {
      const chunk = Math.min(bounce.bytes, bytes - done);
      this.driver.cuMemcpyDtoDAsync(bounce.address, baseAddress + from + done, chunk, stream);
      this.driver.cuMemcpyDtoDAsync(baseAddress + to + done, bounce.address, chunk, stream);
    }
  }
}
