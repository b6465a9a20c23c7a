import { at } from '@emloc/checked';

import {
  CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
  type Driver,
} from './native/driver.js';
import { Cell } from './native/status.js';

/** Device memory behind one address range, taken from the card as far as it is used. */
export interface Pages {
  readonly baseAddress: number;
  /** Bytes taken from the card. */
  readonly physicalBytes: number;
  /**
   * Makes [0, endBytes) usable.
   * @throws DeviceError DEVICE_OUT_OF_MEMORY when the card has no room.
   */
  ensure(endBytes: number): void;
  close(): void;
}

/**
 * Virtual memory where the driver has it, so that the card gives memory when it is needed; all at
 * once where it has not.
 */
export function createPages(driver: Driver, device: number, extentBytes: number): Pages {
  const supported = new Cell();
  driver.cuDeviceGetAttribute(
    supported.raw,
    CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
    device,
  );
  return supported.int32 === 1
    ? new VirtualPages(driver, device, extentBytes)
    : new FixedPages(driver, extentBytes);
}

class FixedPages implements Pages {
  readonly baseAddress: number;

  constructor(
    private readonly driver: Driver,
    readonly physicalBytes: number,
  ) {
    const address = new Cell();
    driver.cuMemAlloc(address.raw, physicalBytes);
    this.baseAddress = address.value;
  }

  ensure(): void {}

  close(): void {
    this.driver.cuMemFree(this.baseAddress);
  }
}

class VirtualPages implements Pages {
  readonly baseAddress: number;
  readonly #pageBytes: number;
  readonly #reservedBytes: number;
  readonly #properties: Int32Array;
  readonly #access: Int32Array;
  readonly #handles: bigint[] = [];

  constructor(
    private readonly driver: Driver,
    device: number,
    extentBytes: number,
  ) {
    // CUmemAllocationProp: type PINNED (1), no export handle, location DEVICE (1) of that ordinal,
    // then 16 bytes of zeros.
    this.#properties = Int32Array.of(1, 0, 1, device, 0, 0, 0, 0);
    // CUmemAccessDesc: the same location, read and write (3).
    this.#access = Int32Array.of(1, device, 3);
    const granularity = new Cell();
    driver.cuMemGetAllocationGranularity(granularity.raw, this.#properties, 0);
    this.#pageBytes = Math.max(granularity.value, 2 ** 21);
    this.#reservedBytes = Math.ceil(extentBytes / this.#pageBytes) * this.#pageBytes;
    const address = new Cell();
    driver.cuMemAddressReserve(address.raw, this.#reservedBytes, this.#pageBytes, 0, 0);
    this.baseAddress = address.value;
  }

  get physicalBytes(): number {
    return this.#handles.length * this.#pageBytes;
  }

  ensure(endBytes: number): void {
    const first = this.physicalBytes;
    if (endBytes <= first) return;
    try {
      while (this.physicalBytes < endBytes) this.#mapNext();
    } finally {
      if (this.physicalBytes > first)
        this.driver.cuMemSetAccess(
          this.baseAddress + first,
          this.physicalBytes - first,
          this.#access,
          1,
        );
    }
  }

  close(): void {
    this.#handles.splice(0).forEach((handle, index) => {
      this.driver.cuMemUnmap(this.baseAddress + index * this.#pageBytes, this.#pageBytes);
      this.driver.cuMemRelease(handle);
    });
    this.driver.cuMemAddressFree(this.baseAddress, this.#reservedBytes);
  }

  #mapNext(): void {
    const handle = new Cell();
    this.driver.cuMemCreate(handle.raw, this.#pageBytes, this.#properties, 0);
    // A handle may use all 64 bits, so it stays a bigint.
    this.driver.cuMemMap(
      this.baseAddress + this.physicalBytes,
      this.#pageBytes,
      0,
      handle.raw[0],
      0,
    );
    this.#handles.push(at(handle.raw, 0));
  }
}
