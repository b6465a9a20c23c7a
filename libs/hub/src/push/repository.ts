import { createBranch, createRepo, modelInfo } from '@huggingface/hub';

import { HubError } from '../errors.js';
import { hubFetch } from '../hub-fetch.js';
import { defaultRevision, type HubName } from '../hub-name.js';
import { commitOf, listRepository, understood, type Asking } from '../listing.js';
import type { RepoFile } from '../repo-file.js';

/** Where a folder is sent to. */
export interface PushTarget {
  /** The revision is a branch; null: `main`. */
  readonly hubName: HubName;
  readonly isPublic: boolean;
}

/** A branch of a repository as it is before the push. */
export interface RepositoryBranch {
  readonly isPrivate: boolean;
  /** Null: the branch has none yet. */
  readonly commit: string | null;
  readonly files: readonly RepoFile[];
}

/**
 * The repository and the branch that are sent to, made where they are not there.
 * @throws HubError HUB_REPOSITORY_PUBLIC for one that everybody can read where that was not asked
 * for, HUB_NAME_TAKEN for one that the account cannot see, and what a refusal is
 */
export async function openBranch(target: PushTarget, asking: Asking): Promise<RepositoryBranch> {
  const { hubName, isPublic } = target;
  const { name } = hubName;
  const isPrivate = (await visibility(name, asking)) ?? (await create(target, asking));
  if (!isPrivate && !isPublic)
    throw new HubError(
      'HUB_REPOSITORY_PUBLIC',
      `${name} is there and public: everybody could read what is sent; --public says that this is meant`,
    );
  const commit = (await branchCommit(hubName, asking)) ?? (await makeBranch(hubName, asking));
  const files = commit === null ? [] : await listRepository({ name, commit }, asking);
  return { isPrivate, commit, files };
}

/** Whether it is private; null: there is no repository of that name that the account can see. */
async function visibility(name: string, asking: Asking): Promise<boolean | null> {
  const hubName = { name, revision: null };
  try {
    const info = await understood(hubName, asking, () =>
      modelInfo({ name, hubUrl: asking.client.endpoint, fetch: hubFetch(name, asking) }),
    );
    // What does not say that it is private is taken for public.
    return info.private === true;
  } catch (error) {
    if (isCode(error, 'HUB_NOT_FOUND')) return null;
    throw error;
  }
}

/** @returns whether it is private */
async function create({ hubName, isPublic }: PushTarget, asking: Asking): Promise<boolean> {
  const { name } = hubName;
  try {
    await understood(hubName, asking, () =>
      createRepo({
        repo: { type: 'model', name },
        visibility: isPublic ? 'public' : 'private',
        // The client has the token, and its header.
        accessToken: '',
        hubUrl: asking.client.endpoint,
        fetch: hubFetch(name, asking),
      }),
    );
  } catch (error) {
    // Also where it was made by a request whose answer was lost.
    const found = isCode(error, 'HUB_NAME_TAKEN') ? await visibility(name, asking) : null;
    if (found === null) throw error;
    return found;
  }
  const made = await visibility(name, asking);
  if (made !== null) return made;
  throw new HubError(
    'HUB_RESPONSE_INVALID',
    `${name}: ${asking.client.endpoint} says that it was made, but does not have it`,
  );
}

async function branchCommit(hubName: HubName, asking: Asking): Promise<string | null> {
  try {
    return await commitOf(hubName, asking);
  } catch (error) {
    if (isCode(error, 'HUB_REVISION_NOT_FOUND')) return null;
    throw error;
  }
}

/** A branch from `main`. @returns its commit; null: `main` itself, which the first commit makes */
async function makeBranch(hubName: HubName, asking: Asking): Promise<string | null> {
  const { name, revision } = hubName;
  if (revision === null || revision === defaultRevision) return null;
  await understood(hubName, asking, () =>
    createBranch({
      repo: { type: 'model', name },
      branch: revision,
      hubUrl: asking.client.endpoint,
      fetch: hubFetch(name, asking),
    }),
  );
  return commitOf(hubName, asking);
}

function isCode(error: unknown, code: HubError['code']): boolean {
  return error instanceof HubError && error.code === code;
}
