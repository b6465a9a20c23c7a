import { join } from 'node:path';
import { HubError, parseHubName, type HubModel, type HubName } from '@emloc/hub';
import { toRpcError, type FieldViolation } from '@emloc/rpc';

import { confine, type ConfinedPath } from './paths.js';

/** Models that are trained on rows of text, and models that are trained on folders of pictures. */
export type ModelKind = 'text' | 'pictures';

/** Which models a client may ask for. */
export interface ModelLimits {
  readonly modelRoots: readonly string[];
  /** A model by its hub name on this host. @throws HubError where it cannot be had */
  readonly findHubModel: (hubName: HubName) => Promise<Pick<HubModel, 'name' | 'commit'>>;
  /**
   * The kind of a model that this server has, by its path or its hub name with the commit.
   * @throws the typed errors of hub and checkpoint
   */
  readonly kindOfModel: (model: string) => Promise<ModelKind>;
}

/**
 * Where a model is: a folder inside a root, by its path or as OWNER/NAME under the root; else, of a
 * hub, its name at a commit, which each host finds in its own cache.
 */
export async function checkModel(
  field: string,
  model: string,
  { modelRoots, findHubModel }: ModelLimits,
): Promise<ConfinedPath> {
  const inRoots = { roots: modelRoots, option: 'model-roots', kind: 'folder' } as const;
  try {
    const hubName = parseHubName(model);
    if (hubName === null) return await confine(field, model, inRoots);
    for (const root of hubName.revision === null ? modelRoots : []) {
      const found = await confine(field, join(root, hubName.name), inRoots);
      if ('path' in found) return found;
    }
    const { name, commit } = await findHubModel(hubName);
    return { path: `${name}@${commit}` };
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return {
      violation: { field, description: `${error.code}: ${error.message}; a path must be absolute` },
    };
  }
}

/**
 * Where an adapter is that training begins from: a folder or a file, inside a root of models; null:
 * none was asked for.
 */
export async function checkInitAdapter(
  field: string,
  path: string | null | undefined,
  { modelRoots }: Pick<ModelLimits, 'modelRoots'>,
): Promise<ConfinedPath | { readonly path: null }> {
  if (path === undefined || path === null) return { path: null };
  return confine(field, path, {
    roots: modelRoots,
    option: 'model-roots',
    kind: 'folder or file',
  });
}

/** The kind of a model, or what is wrong with it. */
export async function checkKind(
  field: string,
  model: string,
  { kindOfModel }: ModelLimits,
): Promise<{ readonly kind: ModelKind } | { readonly violation: FieldViolation }> {
  try {
    return { kind: await kindOfModel(model) };
  } catch (error) {
    const { code, message } = toRpcError(error);
    if (code !== 'INVALID_ARGUMENT' && code !== 'NOT_FOUND') throw error;
    return { violation: { field, description: message } };
  }
}
