import { RepoCache } from './cache-layout.js';
import { assertCached, findCached } from './cached-snapshot.js';
import { cacheError, HubError } from './errors.js';
import type { FetchObserver } from './fetch-snapshot.js';
import { hubNameText, type HubName } from './hub-name.js';
import { defaultRetryPolicy, type RetryPolicy } from './retry.js';
import { safeToken } from './safe-token.js';
import type { HubSettings } from './settings.js';

/** A model of a hub, in the cache. */
export interface HubModel {
  readonly name: string;
  readonly commit: string;
  /** Checkpoint folder: `.../models--OWNER--NAME/snapshots/COMMIT`. */
  readonly folder: string;
}

/** Who asks for a model. */
export interface HubHost extends Partial<FetchObserver> {
  readonly settings: HubSettings;
  /** Name and version of the program. */
  readonly program: string;
  readonly signal?: AbortSignal;
  readonly policy?: RetryPolicy;
}

/** A cache that has to do, and how to speak of it. */
interface OnlyCache {
  readonly cacheFolder: string;
  /** What to call it. */
  readonly where: string;
  /** Why nothing is downloaded. */
  readonly why: string;
}

/**
 * What the cache has of a model, without asking the hub.
 * @throws HubError HUB_NOT_CACHED where it has nothing, or not all of it
 */
export async function cachedModel(
  hubName: HubName,
  { cacheFolder, where, why }: OnlyCache,
): Promise<HubModel> {
  const cache = new RepoCache(cacheFolder, hubName.name);
  const found = await findCached(cache, hubName);
  const model = hubNameText(hubName);
  const { commit } = assertCached(found, { model, where, why });
  return modelAt(cache, hubName, commit);
}

/**
 * A model in the cache; what of it is missing there is downloaded, unless the settings say offline.
 * @throws HubError
 */
export async function hubModel(hubName: HubName, host: HubHost): Promise<HubModel> {
  const { cacheFolder, isOffline } = host.settings;
  if (isOffline)
    return cachedModel(hubName, {
      cacheFolder,
      where: cacheFolder,
      why: 'HF_HUB_OFFLINE forbids to download it',
    });
  const signal = host.signal ?? new AbortController().signal;
  try {
    return await fetched(hubName, host, signal);
  } catch (error) {
    if (signal.aborted)
      throw new HubError(
        'HUB_INTERRUPTED',
        `the download of ${hubNameText(hubName)} was interrupted; what is there is kept, and the same command goes on from there`,
        { cause: signal.reason },
      );
    throw isSystemError(error) ? cacheError(error, error.path ?? cacheFolder) : error;
  }
}

async function fetched(
  hubName: HubName,
  { settings, program, policy = defaultRetryPolicy, ...host }: HubHost,
  signal: AbortSignal,
): Promise<HubModel> {
  const { onNotice = () => undefined, onProgress = () => undefined } = host;
  // What speaks HTTP is loaded only where it is needed: commands on local folders start sooner.
  const [{ HubClient }, { fetchSnapshot }] = await Promise.all([
    import('./hub-client.js'),
    import('./fetch-snapshot.js'),
  ]);
  const { cacheFolder } = settings;
  const cache = new RepoCache(cacheFolder, hubName.name);
  const client = new HubClient({ ...settings, token: safeToken(settings, onNotice) }, program);
  try {
    const asking = { client, policy, signal };
    const commit = await fetchSnapshot(
      { ...asking, cache, hubName, cacheFolder, onNotice, onProgress },
      await findCached(cache, hubName),
    );
    return modelAt(cache, hubName, commit);
  } finally {
    await client.close();
  }
}

function modelAt(cache: RepoCache, { name }: HubName, commit: string): HubModel {
  return { name, commit, folder: cache.snapshotFolder(commit) };
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}
