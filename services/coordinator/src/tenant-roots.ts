import { ServiceError } from '@emloc/service';

import { followFile, parseOptionJson, type FollowOptions } from './follow-file.js';

/** Folders that a tenant's paths must lead into. */
export interface Roots {
  readonly modelRoots: readonly string[];
  readonly dataRoots: readonly string[];
}

const option = 'tenant-roots';

/**
 * Roots of single tenants from a JSON file: `{"a": {"modelRoots": ["/models/a"], "dataRoots":
 * ["/data/a"]}}`. What it does not say of a tenant is as it is for all. A changed file holds from a
 * second later.
 * @throws ServiceError OPTION_INVALID for a file that cannot be read at the start
 */
export async function tenantRoots(
  path: string | undefined,
  forAll: Roots,
  options: FollowOptions,
): Promise<(tenant: string) => Roots> {
  if (path === undefined) return () => forAll;
  const parse = (text: string) => parseRoots(parseOptionJson(option, text, path), path);
  const roots = await followFile({ path, option, parse }, options);
  return (tenant) => ({ ...forAll, ...roots().get(tenant) });
}

/** @throws ServiceError OPTION_INVALID naming the file, the tenant and what is wrong */
export function parseRoots(json: unknown, path: string): ReadonlyMap<string, Partial<Roots>> {
  if (!isObject(json)) throw invalid(path, 'an object with the names of tenants is expected');
  return new Map(
    Object.entries(json).map(([tenant, entry]) => [tenant, rootsOf(entry, `${path}: ${tenant}`)]),
  );
}

function rootsOf(entry: unknown, place: string): Partial<Roots> {
  if (!isObject(entry)) throw invalid(place, 'an object is expected');
  for (const [key, value] of Object.entries(entry)) {
    if (key !== 'modelRoots' && key !== 'dataRoots')
      throw invalid(place, `${JSON.stringify(key)} is neither modelRoots nor dataRoots`);
    if (!Array.isArray(value) || !value.every((root) => isFolderName(root)))
      throw invalid(place, `${key} must be a list of absolute paths`);
  }
  return entry;
}

function isFolderName(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith('/') && !value.includes('\0');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(place: string, problem: string): ServiceError {
  return new ServiceError('OPTION_INVALID', `options: ${option}: ${place}: ${problem}`);
}
