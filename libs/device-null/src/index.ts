export type { KernelWork } from './kernel-work.js';
export { createNullBackend, type NullBackend } from './null-backend.js';
