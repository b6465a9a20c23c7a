export { createNullBackend, type NullBackend, type TransferredBytes } from './null-backend.js';
export type { KernelWork, Work } from './work.js';
