export { createNullBackend, type KernelWork, type NullBackend } from './null-backend.js';
