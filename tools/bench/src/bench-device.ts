import type { Backend, DeviceProfile, DeviceTarget } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import {
  createCudaBackend,
  cudaOrdinal,
  cudaProfile,
  type CudaBackend,
  type CudaBackendOptions,
} from '@emloc/device-cuda';

/** A device that a measurement was asked for by name. */
export interface BenchDevice {
  readonly name: string;
  readonly profile: DeviceProfile;
  /** @param capacityBytes what may be taken on a card; the CPU has no limit of its own. */
  open(capacityBytes: number, options?: Pick<CudaBackendOptions, 'onAllocate'>): Backend;
}

/** `cpu`, `cuda` or `cuda:N`. @throws Error for another name */
export function benchDevice(name: string): BenchDevice {
  const ordinal = cudaOrdinal(name);
  if (ordinal !== null)
    return {
      name,
      profile: cudaProfile(),
      open: (capacityBytes, options) => createCudaBackend({ ordinal, capacityBytes, ...options }),
    };
  if (name === 'cpu') return { name, profile: cpuProfile, open: () => createCpuBackend() };
  throw new Error(`--device ${name}: expected cpu, cuda or cuda:N`);
}

/**
 * A card to which weights are copied no faster than this, as over a slower link.
 * @throws Error for a device that is no card, or a rate that is none
 */
export function slowedTarget(
  name: string,
  target: DeviceTarget,
  linkBytesPerSecond: number,
): DeviceTarget {
  const ordinal = cudaOrdinal(name);
  if (ordinal === null)
    throw new Error(`--link-gbps: ${name} has no link, cuda or cuda:N expected`);
  if (!(linkBytesPerSecond > 0)) throw new Error('--link-gbps: a rate above 0 expected');
  return {
    ...target,
    open: async (capacityBytes) =>
      createCudaBackend({ ordinal, capacityBytes, linkBytesPerSecond }),
  };
}

/** The card behind a backend; null for the CPU. */
export function cardOf(backend: Backend): CudaBackend | null {
  return 'measureMemory' in backend ? (backend as CudaBackend) : null;
}
