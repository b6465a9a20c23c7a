import type { Backend, DeviceProfile } from '@emloc/device';
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

/** The card behind a backend; null for the CPU. */
export function cardOf(backend: Backend): CudaBackend | null {
  return 'measureMemory' in backend ? (backend as CudaBackend) : null;
}
