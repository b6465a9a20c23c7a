export { type CardUsage, deviceTarget, type NamedTarget } from './device-target.js';
export { DeviceRegistryError, type DeviceRegistryErrorCode } from './errors.js';
