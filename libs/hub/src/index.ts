export { HubError } from './errors.js';
export { parseHubName, type HubName } from './hub-name.js';
export { hubSettings } from './settings.js';
export { hubModel, type HubModel } from './hub-model.js';
export { resolveModel, type ModelHost } from './resolve-model.js';
export { servedModel, servedModelFolder, type ServingHost } from './served-model.js';
