import { DeviceError } from '@emloc/device';

import { loadTfjs, processHost, type TfjsHost, type TfjsRuntime } from './load.js';

/** What `emloc info --device tfjs` prints. */
export interface TfjsDescription {
  readonly runtime: TfjsRuntime;
  /** Packages and what computes; null where it cannot be had. */
  readonly description: string | null;
  /** Why it cannot be had, and what to install; null when it can. */
  readonly problem: string | null;
  readonly memory: string;
}

const memory =
  'counted at the device interface; the memory pool of TensorFlow itself cannot be capped from outside and may be larger';

/** Loads TensorFlow.js to see whether it works. */
export function describeTfjs(
  runtime: TfjsRuntime = 'native',
  host: TfjsHost = processHost(),
): TfjsDescription {
  try {
    return { runtime, description: loadTfjs(runtime, host).description, problem: null, memory };
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { runtime, description: null, problem: error.message, memory };
  }
}

/** The runtime of a device name: `tfjs` or `tfjs:cpu`; null for other devices' names. */
export function tfjsRuntime(deviceName: string): TfjsRuntime | null {
  if (deviceName === 'tfjs') return 'native';
  return deviceName === 'tfjs:cpu' ? 'cpu' : null;
}
