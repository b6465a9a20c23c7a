export { createTfjsBackend } from './backend.js';
export { describeTfjs, tfjsRuntime } from './describe.js';
export type { TfjsRuntime } from './load.js';
export { tfjsProfile } from './profile.js';
