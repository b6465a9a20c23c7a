import { CudaDeviceBackend, type CudaBackend } from './backend.js';
import { hasFastFloat64, launchOperationsOf } from './card.js';
import { cudaProfile, reserveSlackBytes, type CudaProfileOptions } from './profile.js';
import { CudaSession } from './session.js';

export type { CudaBackend } from './backend.js';
export { hasFastFloat64, launchOperationsOf } from './card.js';
export { cardUsage, cudaOrdinal, describeCuda } from './describe.js';
export { cudaProfile, defaultReserveBytes } from './profile.js';
export type { CudaMark } from './marks.js';
export interface CudaBackendOptions extends Pick<
  CudaProfileOptions,
  'statisticsDType' | 'reserveBytes'
> {
  /** The card, counted as the driver counts. Default 0. */
  readonly ordinal?: number;
  /**
   * All that this process may take on the card, in bytes; the total of the memory budget. Default:
   * what is free.
   */
  readonly capacityBytes?: number;
  /** Where compiled kernels are kept. Default: `emloc/kernels` in the user's cache folder. */
  readonly kernelCacheFolder?: string;
  /**
   * Whether attention on Hopper cards takes the kernels for them. Default true.
   */
  readonly useWgmma?: boolean;
  /** Whether launches that come again alike are recorded, and then made as one. Default true. */
  readonly useGraphs?: boolean;
  /**
   * Told of every allocation of tensors and of scratch memory, in bytes, before it is made; one
   * that throws prevents it. For tests.
   */
  readonly onAllocate?: (bytes: number) => void;
  /**
   * Weights are copied to the card no faster than this, as over a slower link. For measurements.
   * Default: as fast as the link is.
   */
  readonly linkBytesPerSecond?: number;
}

const pageBytes = 2 ** 21;

/**
 * Opens a card. It takes memory as tensors come and never more than `capacityBytes`, everything
 * counted.
 * @throws DeviceError DEVICE_UNAVAILABLE naming the library or card that is missing;
 * DEVICE_UNSUPPORTED for a card before 8.0.
 */
export function createCudaBackend(options: CudaBackendOptions = {}): CudaBackend {
  const {
    ordinal = 0,
    capacityBytes = Number.POSITIVE_INFINITY,
    statisticsDType,
    reserveBytes,
    kernelCacheFolder,
    onAllocate,
    useWgmma = true,
    useGraphs = true,
    linkBytesPerSecond,
  } = options;
  const profile = cudaProfile({ statisticsDType, reserveBytes });
  const session = CudaSession.open({
    ordinal,
    kernelCacheFolder,
    onAllocate,
    useWgmma,
    linkBytesPerSecond,
    arenaBytes: (freeBytes) => {
      const bytes = Math.min(capacityBytes - profile.reserveBytes, freeBytes - reserveSlackBytes);
      return Math.max(1, Math.ceil(bytes / pageBytes)) * pageBytes;
    },
  });
  return new CudaDeviceBackend(
    cudaProfile({
      name: session.card.name,
      statisticsDType,
      reserveBytes,
      hasFastFloat64: hasFastFloat64(session.card),
      launchOperations: launchOperationsOf(session.card),
    }),
    session,
    { useGraphs },
  );
}
