import { cpuProfile, createCpuBackend, describeCpu } from '@emloc/device-cpu';
import type { DeviceTarget } from '@emloc/pipeline';
import { UsageError } from './usage-error.js';

/** A device to run on, and what is remembered of it with an adapter. */
export interface NamedTarget extends DeviceTarget {
  readonly name: string;
  /** Library and thread count: equal bytes are promised for equal descriptions. */
  readonly description: string;
}

/** The device of `--device` and `--threads`. @throws UsageError, DeviceError DEVICE_UNAVAILABLE */
export function deviceTarget(name: string = 'auto', threads?: number): NamedTarget {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads > 0)) {
    throw new UsageError(`--threads ${threads}: a whole number of at least 1 is expected`);
  }
  if (name === 'auto' || name === 'cpu') return cpuTarget(threads);
  throw new UsageError(`--device ${name}: expected auto or cpu`);
}

function cpuTarget(threads: number | undefined): NamedTarget {
  const { library, version, threads: used } = describeCpu({ threads });
  return {
    name: 'cpu',
    profile: cpuProfile,
    description: `cpu, ${version ?? library}, ${used} threads`,
    open: async () => createCpuBackend({ threads }),
  };
}
