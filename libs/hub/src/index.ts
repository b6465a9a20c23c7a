export { HubError } from './errors.js';
export { parseHubName, hubNameText, type HubName } from './hub-name.js';
export { hubSettings, type HubSettings } from './settings.js';
export { cachedModel, hubModel, type HubHost, type HubModel } from './hub-model.js';
export { resolveModel, type ResolvedModel } from './resolve-model.js';
