import type { Backend } from './device.js';
import type { DeviceProfile } from './profile.js';
import type { DeviceRates } from './rates.js';

/** A device that can be had: its profile before it is taken, a backend when it is needed. */
export interface DeviceTarget {
  readonly profile: DeviceProfile;
  /**
   * @param budgetBytes what the process may take on the device
   * @throws DeviceError DEVICE_UNAVAILABLE
   */
  open(budgetBytes: number): Promise<Backend>;
  /** How fast the device is, roughly, for plans on a machine that does not have it. */
  readonly ratesElsewhere?: DeviceRates;
}
