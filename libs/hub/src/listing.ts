import { listFiles, modelInfo } from '@huggingface/hub';

import { HubError } from './errors.js';
import type { HubClient } from './hub-client.js';
import { hubFetch } from './hub-fetch.js';
import { defaultRevision, hubNameText, isCommit, type HubName } from './hub-name.js';
import { toRepoFile, type RepoFile } from './repo-file.js';
import type { RetryPolicy } from './retry.js';

/** How a hub is asked about its models. */
export interface Asking {
  readonly client: HubClient;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
}

const mostFiles = 100_000;

/**
 * The commit that a branch or tag is at.
 * @throws HubError
 */
export async function commitOf(hubName: HubName, asking: Asking): Promise<string> {
  const { name, revision } = hubName;
  const { sha } = await understood(hubName, asking, () =>
    modelInfo({
      name,
      revision: revision ?? defaultRevision,
      additionalFields: ['sha'],
      hubUrl: asking.client.endpoint,
      fetch: hubFetch(hubNameText(hubName), asking),
    }),
  );
  if (typeof sha === 'string' && isCommit(sha)) return sha;
  throw new HubError(
    'HUB_RESPONSE_INVALID',
    `${hubNameText(hubName)}: ${asking.client.endpoint} names no commit of it`,
  );
}

/**
 * All files of a model at a commit, sorted by path.
 * @throws HubError
 */
export async function listRepository(
  { name, commit }: { readonly name: string; readonly commit: string },
  asking: Asking,
): Promise<RepoFile[]> {
  const hubName: HubName = { name, revision: commit };
  const source = `${asking.client.endpoint}, listing of ${name}`;
  const files: RepoFile[] = [];
  await understood(hubName, asking, async () => {
    const entries = listFiles({
      repo: { type: 'model', name },
      revision: commit,
      recursive: true,
      hubUrl: asking.client.endpoint,
      fetch: hubFetch(hubNameText(hubName), asking),
    });
    for await (const { type, path, size, oid, lfs, xetHash } of entries) {
      if (type !== 'file') continue;
      const sizeBytes = lfs?.size ?? size;
      files.push(toRepoFile(source, { path, size: sizeBytes, oid, sha256: lfs?.oid, xetHash }));
      if (files.length > mostFiles)
        throw new HubError('HUB_RESPONSE_INVALID', `${source}: more than ${mostFiles} files`);
    }
  });
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What the package makes of an answer that is no answer of a hub, as an error of this library. */
export async function understood<T>(
  hubName: HubName,
  { client, signal }: Asking,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HubError) throw error;
    throw new HubError(
      'HUB_RESPONSE_INVALID',
      `${hubNameText(hubName)}: the answer of ${client.endpoint} is not that of a hub (HF_ENDPOINT names another?)`,
      { cause: error },
    );
  }
}
