export * from './dtype.js';
export * from './errors.js';
export * from './budget.js';
export * from './tensor.js';
export * from './kernels.js';
export * from './profile.js';
export * from './device.js';
