import { at } from '@emloc/checked';

import { CU_MEMHOSTALLOC_PORTABLE, viewMemory, type Driver } from './native/driver.js';
import type { Libc } from './native/libc.js';
import { Cell } from './native/status.js';

/**
 * Blocks from this size on are mapped; also how they are aligned, so that the system can back them
 * with large pages.
 */
const largeBytes = 2 ** 21;

/** Host memory that the card copies from and to. Page-locked before its first copy. */
export interface PinnedBlock {
  readonly bytes: Uint8Array;
  readonly address: number;
  /** What a large block is part of; null for a small one, which is the driver's own. */
  readonly mapping: { readonly address: number; readonly bytes: number } | null;
  isLocked: boolean;
}

/**
 * Page-locked memory. The driver's own allocation touches and locks small pages one after the
 * other, at about 2 GB/s; large blocks are instead left untouched until parallel reads have filled
 * their large pages, and locked at their first copy, at about 50 GB/s. Some systems take ten times
 * as long even so: large blocks that are given back may be kept, locked as they are, for the next
 * who asks for as much.
 */
export class PinnedMemory {
  /** Large blocks that nobody uses, in the order in which they were given back. */
  readonly #spare: PinnedBlock[] = [];
  /** Of all large blocks. */
  #largeBytes = 0;
  #keptBytes = 0;

  constructor(
    private readonly driver: Driver,
    private readonly libc: Libc,
  ) {}

  /** Of large blocks that nobody uses. */
  get spareBytes(): number {
    return this.#spare.reduce((sum, block) => sum + sizeOf(block), 0);
  }

  /** See Backend.keepHostMemory. */
  keep(bytes: number): void {
    this.#keptBytes = Math.max(this.#keptBytes, bytes);
  }

  /** @throws DeviceError DEVICE_OUT_OF_MEMORY */
  allocate(bytes: number): PinnedBlock {
    return bytes < largeBytes ? this.#allocateSmall(bytes) : this.#allocateLarge(bytes);
  }

  /**
   * The block's address for a copy.
   * @throws DeviceError when the system lets no more memory be page-locked
   */
  lock(block: PinnedBlock): number {
    if (!block.isLocked)
      this.driver.cuMemHostRegister(block.address, sizeOf(block), CU_MEMHOSTALLOC_PORTABLE);
    block.isLocked = true;
    return block.address;
  }

  /** No copy may be under way. */
  free(block: PinnedBlock): void {
    if (!block.mapping) return this.driver.cuMemFreeHost(block.address);
    this.#spare.push(block);
    this.#shrink(0);
  }

  /** Keeps nothing any more. */
  close(): void {
    this.#keptBytes = 0;
    this.#shrink(0);
  }

  /** Drops spare blocks, the oldest first, until so many bytes more may be taken, or all. */
  #shrink(neededBytes: number): void {
    while (this.#largeBytes + neededBytes > this.#keptBytes) {
      const block = this.#spare.shift();
      if (!block) return;
      this.#largeBytes -= sizeOf(block);
      this.#unmap(block);
    }
  }

  #unmap({ address, mapping, isLocked }: PinnedBlock): void {
    if (isLocked) this.driver.cuMemHostUnregister(address);
    if (mapping) this.libc.unmap(mapping.address, mapping.bytes);
  }

  #allocateSmall(bytes: number): PinnedBlock {
    const address = new Cell();
    this.driver.cuMemHostAlloc(address.raw, Math.max(bytes, 1), CU_MEMHOSTALLOC_PORTABLE);
    return {
      bytes: new Uint8Array(viewMemory(address.value, bytes)),
      address: address.value,
      mapping: null,
      isLocked: true,
    };
  }

  #allocateLarge(bytes: number): PinnedBlock {
    const size = roundUp(bytes);
    const block = this.#takeSpare(size) ?? this.#map(size);
    return { ...block, bytes: new Uint8Array(block.bytes.buffer, 0, bytes) };
  }

  #takeSpare(size: number): PinnedBlock | null {
    const index = this.#spare.findIndex((block) => sizeOf(block) === size);
    return index < 0 ? null : at(this.#spare.splice(index, 1), 0);
  }

  #map(size: number): PinnedBlock {
    this.#shrink(size);
    const mapping = { bytes: size + largeBytes, address: 0 };
    mapping.address = this.libc.map(mapping.bytes);
    this.#largeBytes += size;
    const address = roundUp(mapping.address);
    return { bytes: new Uint8Array(viewMemory(address, size)), address, mapping, isLocked: false };
  }
}

/** Of a large block, whose view is as long as was asked for. */
function sizeOf({ bytes }: PinnedBlock): number {
  return bytes.buffer.byteLength;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / largeBytes) * largeBytes;
}
