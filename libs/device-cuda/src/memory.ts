import { DeviceError, formatBytes } from '@emloc/device';

import { Arena, type Allocation, type Stretch } from './arena.js';
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

/** What a stretch of work took for granted of memory. */
export interface Footprint {
  /** Free memory when it began: it decides where everything was that was allocated since. */
  readonly holes: readonly Stretch[];
  /** Memory from before that it used, and where that was. */
  readonly others: ReadonlyMap<CudaMemory, number>;
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
  /** What is allocated, and what else is used, between `watch` and `endWatch`. */
  #watched: {
    readonly holes: readonly Stretch[];
    readonly own: Set<CudaMemory>;
    readonly others: Map<CudaMemory, number>;
  } | null = null;

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
    const memory = { allocation, copiedAt: 0 };
    this.#watched?.own.add(memory);
    return memory;
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
    const watched = this.#watched;
    if (watched && !watched.own.has(memory)) watched.others.set(memory, memory.allocation.offset);
    return this.#pages.baseAddress + memory.allocation.offset;
  }

  /** Starts to note what work takes for granted. */
  watch(): void {
    this.#watched = { holes: this.#arena.holes(), own: new Set(), others: new Map() };
  }

  /** Null where nothing is noted, or memory was moved meanwhile. */
  endWatch(): Footprint | null {
    const watched = this.#watched;
    this.#watched = null;
    return watched;
  }

  /** Whether the same work would find all its memory where it was. */
  isAsBefore({ holes, others }: Footprint): boolean {
    for (const [memory, offset] of others) if (!this.isAt(memory, offset)) return false;
    return this.#arena.hasHoles(holes);
  }

  /** Whether the memory is allocated, and there. */
  isAt({ allocation }: CudaMemory, offset: number): boolean {
    return allocation.offset === offset && this.#arena.isLive(allocation);
  }

  /** Says that work launched just now may have used any free memory. */
  touchFree(): void {
    this.#arena.touchHoles(this.#streams.positionOf('compute'));
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
    this.#streams.interruptRecording();
    this.#watched = null;
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
