import { stat } from 'node:fs/promises';

import { HubError, type HubErrorCode } from './errors.js';
import { hubModel, type HubHost, type HubModel } from './hub-model.js';
import { hubNameText, parseHubName } from './hub-name.js';
import type { HubSettings } from './settings.js';

/** Where a model that was asked for is on this machine. */
export interface ResolvedModel {
  readonly folder: string;
  /** Null: a folder that no hub was asked about. */
  readonly hub: HubModel | null;
}

/** Who asks; settings are read only where a hub is. */
export interface ModelHost extends Omit<HubHost, 'settings'> {
  settings(): HubSettings;
}

/** Failures of a hub that a mistyped path leads to, too. */
const maybePaths: readonly HubErrorCode[] = [
  'HUB_NOT_FOUND',
  'HUB_ACCESS_DENIED',
  'HUB_UNREACHABLE',
  'HUB_NOT_CACHED',
];

/**
 * A folder stays as it is; OWNER/NAME or OWNER/NAME@REVISION, where no folder has that name, is a
 * model of the hub. What is neither is returned as it is, for whoever opens it to refuse.
 * @throws HubError
 */
export async function resolveModel(model: string, host: ModelHost): Promise<ResolvedModel> {
  if (await exists(model)) {
    if (isHubName(model))
      host.onNotice?.(
        `the local folder ${model} is used, not the model of that name on a hub; ./${model} says so`,
      );
    return { folder: model, hub: null };
  }
  const hubName = parseHubName(model);
  if (hubName === null) return { folder: model, hub: null };
  if (hubName.revision !== null && (await exists(hubName.name)))
    host.onNotice?.(
      `${model} is looked up on the hub: it names a revision, which the local folder ${hubName.name} has not`,
    );
  try {
    const found = await hubModel(hubName, { ...host, settings: host.settings() });
    return { folder: found.folder, hub: found };
  } catch (error) {
    if (!(error instanceof HubError) || !maybePaths.includes(error.code)) throw error;
    const hint = `; nor is there a local folder ${hubNameText(hubName)}`;
    throw new HubError(error.code, `${error.message}${hint}`, { cause: error.cause });
  }
}

function isHubName(text: string): boolean {
  try {
    return parseHubName(text) !== null;
  } catch {
    return false;
  }
}

/** Whether anything is there, also where this process may not see what. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}
