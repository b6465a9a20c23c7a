import type { Checkpoint } from '@emloc/checkpoint';

import { invalidOption } from './checks.js';

/** What a hub takes for a name with its owner's. */
const mostHubNameCharacters = 200;

const hubName = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/;

/** First parts of what people call their folders, which look like the owner of a model. */
const folders =
  /^(models?|checkpoints?|ckpts?|outputs?|out|results?|runs?|logs?|experiments?|saves?|data|datasets?|tmp|temp|home|root|mnt|content|workspace|work|users?|downloads?|cache)$/i;

/** @throws PipelineError PIPELINE_INVALID_OPTION for what could be a path on this machine */
export function assertHubName(name: string, value: string): void {
  if (!isHubName(value))
    throw invalidOption(name, value, 'a name as on a hub, OWNER/NAME or NAME,');
}

/**
 * A snapshot in a cache of a hub's models: `models--OWNER--NAME/snapshots/REVISION`, or the part of
 * it that is trained.
 */
const cachedSnapshot =
  /(?:^|[\\/])models--([^\\/]+)[\\/]snapshots[\\/]([^\\/]+)(?:[\\/]+transformer)?[\\/]*$/;

const commitHash = /^[0-9a-f]{40}$/;

/**
 * The name of a base model in its adapters: the given one, or that of the hub's cache which the
 * folder is in, or what its config.json names where that is a name on a hub with its owner's; null
 * where it is not, or could be a path.
 */
export function baseNameOf(
  given: string | null,
  { config, folder }: Pick<Checkpoint, 'config' | 'folder'>,
): string | null {
  if (given !== null) return given;
  const cached = snapshotOf(folder);
  if (cached) return cached.name;
  const known = config['_name_or_path'];
  if (typeof known !== 'string' || !isHubName(known)) return null;
  const [owner, name] = known.split('/');
  const isPath = folders.test(owner ?? '') || !name || /^checkpoint-\d+$/.test(name);
  return isPath ? null : known;
}

/**
 * The commit of a base model under the name that its adapters have for it: that of the snapshot
 * which the folder is, or is of; null where it is none, or one of another name.
 */
export function baseRevisionOf(
  given: string | null,
  { folder }: Pick<Checkpoint, 'folder'>,
): string | null {
  const cached = snapshotOf(folder);
  const isNamed = cached !== null && (given === null || given === cached.name);
  return isNamed && commitHash.test(cached.revision) ? cached.revision : null;
}

function snapshotOf(folder: string): { readonly name: string; readonly revision: string } | null {
  const [, cached, revision] = cachedSnapshot.exec(folder) ?? [];
  const name = cached?.replace('--', '/');
  return name !== undefined && revision !== undefined && isHubName(name)
    ? { name, revision }
    : null;
}

function isHubName(text: string): boolean {
  return hubName.test(text) && text.length <= mostHubNameCharacters;
}
