export { createCpuBackend } from './backend.js';
export { type CpuOptions, describeCpu } from './create-linear-algebra.js';
export type { CpuDescription } from './linear-algebra.js';
export { cpuProfile } from './profile.js';
