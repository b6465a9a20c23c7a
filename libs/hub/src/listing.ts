import { listFiles, modelInfo } from '@huggingface/hub';

import { HubError } from './errors.js';
import type { HubClient, HubRequest } from './hub-client.js';
import { defaultRevision, hubNameText, isCommit, type HubName } from './hub-name.js';
import { toRepoFile, type RepoFile } from './repo-file.js';
import { PassingError, retried, type RetryPolicy } from './retry.js';

/** How a hub is asked about its models. */
export interface Asking {
  readonly client: HubClient;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
}

/** A page of a listing has at most 1000 files. */
const mostAnswerBytes = 64 * 2 ** 20;
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
      fetch: fetchFor(hubName, asking),
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
      fetch: fetchFor(hubName, asking),
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
async function understood<T>(
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

/** `fetch` for the package: tried again, and it throws where an answer is no success. */
function fetchFor(hubName: HubName, { client, policy, signal }: Asking): typeof fetch {
  const model = hubNameText(hubName);
  return (input) => {
    const url = input instanceof Request ? input.url : String(input);
    const request: HubRequest = { url, model, file: null, signal };
    return retried(model, () => readAnswer(client, request), { policy, signal });
  };
}

async function readAnswer(client: HubClient, request: HubRequest): Promise<Response> {
  const answer = await client.open({ ...request, headers: { accept: 'application/json' } });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of answer.body()) {
      parts.push(part);
      bytes += part.length;
      if (bytes > mostAnswerBytes)
        throw new HubError(
          'HUB_RESPONSE_INVALID',
          `${request.model}: an answer of more than ${mostAnswerBytes} bytes`,
        );
    }
  } finally {
    answer.close();
  }
  const announced = Number(answer.header('content-length') ?? bytes);
  if (announced > bytes)
    throw new PassingError(`an answer was cut off after ${bytes} of ${announced} bytes`, null);
  const link = answer.header('link');
  return new Response(Buffer.concat(parts), { headers: link === null ? {} : { link } });
}
