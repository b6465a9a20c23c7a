import {
  DeviceRegistryError,
  deviceTarget as targetOfName,
  type NamedTarget,
} from '@emloc/device-registry';

import { UsageError } from './usage-error.js';

/** The device of `--device` and `--threads`. @throws UsageError */
export function deviceTarget(name?: string, threads?: number): NamedTarget {
  try {
    return targetOfName(name, threads);
  } catch (error) {
    if (!(error instanceof DeviceRegistryError)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}
