export { createTfjsBackend } from './backend.js';
export { describeTfjs, type TfjsDescription, tfjsRuntime } from './describe.js';
export type { TfjsRuntime } from './load.js';
export { tfjsProfile } from './profile.js';
