import { isAbsolute } from 'node:path';

import { HubError } from './errors.js';
import { cachedModel, hubModel, type HubHost, type HubModel } from './hub-model.js';
import { hubNameText, parseHubName, type HubName } from './hub-name.js';
import { hubCacheFolder, hubSettings, type Environment } from './settings.js';

/** What a service does for a hub name: refuse it, look into its host's cache, or download, too. */
export type HubMode = 'off' | 'cache' | 'download';

/** A service that is asked for models. */
export interface ServingHost extends Pick<HubHost, 'program' | 'signal' | 'onNotice'> {
  readonly mode: HubMode;
  readonly env: Environment;
  /** The home folder of the service's user. */
  home(): string;
}

/**
 * The folder of a job's model on this host: a path as it is, a hub name in the cache.
 * @throws HubError
 */
export async function servedModelFolder(model: string, host: ServingHost): Promise<string> {
  if (isAbsolute(model)) return model;
  const hubName = parseHubName(model);
  return hubName === null ? model : (await servedModel(hubName, host)).folder;
}

/**
 * A model by its hub name, as the mode of this host allows.
 * @throws HubError that names no path of this host
 */
export async function servedModel(hubName: HubName, host: ServingHost): Promise<HubModel> {
  const { mode, env } = host;
  switch (mode) {
    case 'off':
      throw new HubError(
        'HUB_REFUSED',
        `${hubNameText(hubName)}: this host takes no models by hub names (--model-hub off)`,
      );
    case 'cache':
      return cachedModel(hubName, {
        cacheFolder: hubCacheFolder(env, host.home()),
        where: 'the hub cache of this host',
        why: `it downloads none (--model-hub cache): fetch it there (emloc fetch ${hubNameText(hubName)})`,
      });
    case 'download':
      return hubModel(hubName, { ...host, settings: hubSettings(env, host.home()) });
  }
}
