export type { KernelWork } from './kernel-work.js';
export { createNullBackend, type NullBackend } from './null-backend.js';
export type { HostLaunches } from './null-recorder.js';
