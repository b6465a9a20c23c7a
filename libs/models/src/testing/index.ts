export { fluxConfigs, writeFluxFolder } from './flux-folder.js';
