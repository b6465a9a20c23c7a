export { createNullBackend, type NullBackend } from './null-backend.js';
export type { KernelWork } from './work.js';
