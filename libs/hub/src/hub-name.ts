import { HubError } from './errors.js';

/** A model on a hub. */
export interface HubName {
  /** OWNER/NAME. */
  readonly name: string;
  /** Branch, tag or commit; null: the branch `main`. */
  readonly revision: string | null;
}

export const defaultRevision = 'main';

/** What a hub allows for both parts together. */
const mostNameCharacters = 96;
const mostRevisionCharacters = 255;

const repository = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const revisionPart = /^\w[\w.+-]*$/;
const commitHash = /^[0-9a-f]{40}$/;

/**
 * Reads OWNER/NAME or OWNER/NAME@REVISION; null for what is no hub name, such as a path with more
 * or fewer parts.
 * @throws HubError HUB_OPTION_INVALID for a name with a revision that no repository can have
 */
export function parseHubName(text: string): HubName | null {
  const end = text.indexOf('@');
  const name = end < 0 ? text : text.slice(0, end);
  if (!isRepository(name)) return null;
  if (end < 0) return { name, revision: null };
  const revision = text.slice(end + 1);
  if (isRevision(revision)) return { name, revision };
  throw new HubError(
    'HUB_OPTION_INVALID',
    `${JSON.stringify(text.slice(0, 300))}: ${JSON.stringify(revision.slice(0, 100))} is no branch, tag or commit`,
  );
}

/** OWNER/NAME@REVISION, or OWNER/NAME where no revision was asked for. */
export function hubNameText({ name, revision }: HubName): string {
  return revision === null ? name : `${name}@${revision}`;
}

export function isCommit(revision: string | null): revision is string {
  return revision !== null && commitHash.test(revision);
}

function isRepository(name: string): boolean {
  return (
    repository.test(name) &&
    name.length <= mostNameCharacters &&
    !name.includes('--') &&
    !name.includes('..')
  );
}

/** Parts become folders under `refs/`. */
function isRevision(revision: string): boolean {
  return (
    revision.length <= mostRevisionCharacters &&
    !revision.includes('..') &&
    revision.split('/').every((part) => revisionPart.test(part))
  );
}
