export { type CardUsage, deviceTarget, type NamedTarget } from './device-target.js';
export { cardNames, type CardName } from './card-sheets.js';
export { plannedCard, type PlannedCard } from './planned-card.js';
export { DeviceRegistryError } from './errors.js';
