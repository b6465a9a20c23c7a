import { bytesPerElement, type DType } from '@emloc/device';

/** Elements in 16 bytes. */
export function wideCount(dtype: DType): number {
  return 16 / bytesPerElement[dtype];
}

/** Whether addresses and extent allow 16-byte accesses: then the kernel's wide form is taken. */
export function isWide(extent: number, width: number, ...addresses: readonly number[]): boolean {
  return extent % width === 0 && addresses.every((address) => address % 16 === 0);
}
