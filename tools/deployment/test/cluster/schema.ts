import { isDeepStrictEqual } from 'node:util';

import type { Manifest } from './manifests.js';

interface ModelClass {
  readonly prototype: { validate(): void };
}

/** Where the models of an API group are. */
function modelsOf(apiVersion: string): string {
  if (apiVersion.startsWith('cert-manager.io/'))
    return `@kubernetes-models/cert-manager/${apiVersion}`;
  if (apiVersion.startsWith('monitoring.coreos.com/'))
    return `@kubernetes-models/prometheus-operator/${apiVersion}`;
  return `kubernetes-models/${apiVersion}`;
}

/**
 * What the API's schema says against an object. The schema's validators overlook fields that they
 * do not know, which are most often misspelt: those that they never looked at are problems, too.
 */
export async function schemaProblems(manifest: Manifest): Promise<string[]> {
  const models = (await import(modelsOf(manifest.apiVersion))) as Readonly<
    Record<string, ModelClass | undefined>
  >;
  const model = models[manifest.kind];
  if (!model) return [`${manifest.apiVersion} has no ${manifest.kind}`];
  const seen = new Set<string>();
  try {
    model.prototype.validate.call(watched(manifest, '', seen) as { validate(): void });
  } catch (error) {
    return [(error as Error).message];
  }
  return pathsIn(manifest, '')
    .filter((path) => !seen.has(path))
    .map((path) => `${path} is no field`);
}

/** The value, noting the paths of the fields that are read. */
function watched(value: unknown, path: string, seen: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get: (target, key) => {
      const found: unknown = Reflect.get(target, key);
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return found;
      seen.add(`${path}/${key}`);
      return watched(found, `${path}/${key}`, seen);
    },
  });
}

/** Paths of all fields, but not of those below one that is empty or no object. */
function pathsIn(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null || isDeepStrictEqual(value, {})) return [];
  return Object.entries(value).flatMap(([key, child]) => [
    `${path}/${key}`,
    ...pathsIn(child, `${path}/${key}`),
  ]);
}
