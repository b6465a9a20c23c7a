import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import type { FieldViolation } from '@emloc/rpc';

const maxPathLength = 4096;

/** A path that a client gave: where it leads, or what is wrong with it. */
export type ConfinedPath = { readonly path: string } | { readonly violation: FieldViolation };

/** What a path may lead to. */
const kinds = {
  folder: (entry: Stats) => entry.isDirectory(),
  file: (entry: Stats) => entry.isFile(),
  'folder or file': (entry: Stats) => entry.isDirectory() || entry.isFile(),
};

export interface Confinement {
  /** Folders that may be read; none: no path is accepted. */
  readonly roots: readonly string[];
  /** The option that names them. */
  readonly option: string;
  readonly kind: keyof typeof kinds;
}

/**
 * Follows a path to where it really leads, which must be inside a root. Of what is outside of all
 * roots nothing is told, not even whether it is there.
 */
export async function confine(
  field: string,
  path: string,
  { roots, option, kind }: Confinement,
): Promise<ConfinedPath> {
  const refuse = (description: string): ConfinedPath => ({ violation: { field, description } });
  if (path === '') return refuse('is required');
  if (roots.length === 0) return refuse(`paths are not accepted: the server has no --${option}`);
  if (path.length > maxPathLength || path.includes('\0') || !isAbsolute(path))
    return refuse(`must be an absolute path of at most ${maxPathLength} characters`);
  const realRoots = (
    await Promise.all(roots.map((root) => realpath(root).catch(() => null)))
  ).filter((root) => root !== null);
  const found = await realpath(path).catch(() => null);
  if (found === null)
    return refuse(
      [...realRoots, ...roots].some((root) => isInside(resolve(path), resolve(root)))
        ? 'does not exist'
        : outside(option),
    );
  if (!realRoots.some((root) => isInside(found, root))) return refuse(outside(option));
  return kinds[kind](await stat(found)) ? { path: found } : refuse(`is no ${kind}`);
}

function outside(option: string): string {
  return `is not inside one of the folders of --${option}`;
}

function isInside(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
