export { type CardUsage, deviceTarget, type NamedTarget } from './device-target.js';
export { DeviceRegistryError } from './errors.js';
