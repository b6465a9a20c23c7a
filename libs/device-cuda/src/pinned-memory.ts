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
 * their large pages, and locked at their first copy, at about 50 GB/s.
 */
export class PinnedMemory {
  constructor(
    private readonly driver: Driver,
    private readonly libc: Libc,
  ) {}

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
      this.driver.cuMemHostRegister(
        block.address,
        roundUp(block.bytes.byteLength),
        CU_MEMHOSTALLOC_PORTABLE,
      );
    block.isLocked = true;
    return block.address;
  }

  /** No copy may be under way. */
  free({ address, mapping, isLocked }: PinnedBlock): void {
    if (!mapping) return this.driver.cuMemFreeHost(address);
    if (isLocked) this.driver.cuMemHostUnregister(address);
    this.libc.unmap(mapping.address, mapping.bytes);
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
    const mapping = { bytes: roundUp(bytes) + largeBytes, address: 0 };
    mapping.address = this.libc.map(mapping.bytes);
    const address = roundUp(mapping.address);
    return { bytes: new Uint8Array(viewMemory(address, bytes)), address, mapping, isLocked: false };
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / largeBytes) * largeBytes;
}
