import { DeviceError, formatBytes } from '@emloc/device';
import koffi from 'koffi';

/** The C library's memory mapping. */
const declarations = {
  mmap: 'int64_t mmap(uint64_t address, uint64_t bytes, int protection, int flags, int file, int64_t offset)',
  munmap: 'int munmap(uint64_t address, uint64_t bytes)',
  madvise: 'int madvise(uint64_t address, uint64_t bytes, int advice)',
} as const;

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
const MADV_HUGEPAGE = 14;
const MAP_FAILED = -1;

export interface Libc {
  /**
   * Untouched memory of this process, in large pages where the system has them.
   * @throws DeviceError DEVICE_OUT_OF_MEMORY
   */
  map(bytes: number): number;
  unmap(address: number, bytes: number): void;
}

/**
 * @throws Error from koffi when there is no such library: CUDA is for systems with the GNU C
 * library.
 */
export function loadLibc(path = 'libc.so.6'): Libc {
  const library = koffi.load(path);
  const [mmap, munmap, madvise] = [
    library.func(declarations.mmap),
    library.func(declarations.munmap),
    library.func(declarations.madvise),
  ];
  return {
    map: (bytes) => {
      const address = Number(
        mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0),
      );
      if (address === MAP_FAILED)
        throw new DeviceError(
          'DEVICE_OUT_OF_MEMORY',
          `cuda: the system has no ${formatBytes(bytes)} of host memory`,
        );
      madvise(address, bytes, MADV_HUGEPAGE); // Refused where large pages are off: then small ones have to do.
      return address;
    },
    unmap: (address, bytes) => void munmap(address, bytes),
  };
}
