import { pathToFileURL } from 'node:url';
import { commitIter, type CommitOutput, type CommitProgressEvent } from '@huggingface/hub';

import { HubError } from '../errors.js';
import { hubFetch } from '../hub-fetch.js';
import { defaultRevision, hubNameText, isCommit, type HubName } from '../hub-name.js';
import { understood, type Asking } from '../listing.js';
import { assertUnchanged, withUnchanged, type LocalFile } from './folder-files.js';
import { assertBatch, isBatch } from './lfs-batch.js';

/** How far a push is. */
export interface PushProgress {
  readonly phase: 'hashing' | 'sending';
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What one commit has. */
export interface Commit {
  readonly hubName: HubName;
  readonly files: readonly LocalFile[];
  readonly message: string;
  onProgress(progress: PushProgress): void;
}

/**
 * Sends files and commits them, all or none. Large ones go to where the hub says, from disk, by
 * their SHA-256; those that it has already from whatever repository or push are not sent.
 * @returns the commit
 * @throws HubError HUB_FILE_CHANGED for a file that is not as it was when the push began
 */
export async function commitFiles(commit: Commit, asking: Asking): Promise<string> {
  const { hubName, files, message } = commit;
  const bytes = new SentBytes(commit);
  let onFailure: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (onFailure = reject));
  // Whoever waits for it hears of it.
  failed.catch(() => undefined);
  const output = await understood(hubName, asking, () => {
    const events = commitIter({
      title: message,
      repo: { type: 'model', name: hubName.name },
      branch: hubName.revision ?? defaultRevision,
      operations: files.map(({ path, place }) => ({
        operation: 'addOrUpdate',
        path,
        content: pathToFileURL(place),
      })),
      hubUrl: asking.client.endpoint,
      abortSignal: asking.signal,
      useXet: false,
      fetch: sendingFetch(commit, { asking, bytes, onFailure }),
    });
    return withUnchanged(files, () => lastOf(events, failed, (event) => bytes.heard(event)));
  });
  const oid = output?.commit.oid ?? null;
  if (isCommit(oid)) return oid;
  throw new HubError(
    'HUB_RESPONSE_INVALID',
    `${hubNameText(hubName)}: ${asking.client.endpoint} names no commit of what was sent`,
  );
}

/** The package's own error is lost where it comes together with an event: `failed` is heard too. */
async function lastOf(
  events: AsyncGenerator<CommitProgressEvent, CommitOutput | undefined>,
  failed: Promise<never>,
  heard: (event: CommitProgressEvent) => void,
): Promise<CommitOutput | undefined> {
  for (;;) {
    const next = await Promise.race([events.next(), failed]);
    if (next.done) return next.value;
    heard(next.value);
  }
}

interface SendingParts {
  readonly asking: Asking;
  readonly bytes: SentBytes;
  onFailure(error: unknown): void;
}

/** Sends nothing of a file that is not as it was, and commits none. */
function sendingFetch(
  { hubName, files }: Commit,
  { asking, bytes, onFailure }: SendingParts,
): typeof fetch {
  const model = hubNameText(hubName);
  const send = hubFetch(model, asking, bytes);
  return async (input, init) => {
    try {
      await assertUnchanged(files);
      // A file that changes under way does not have the size or the hash that was announced.
      const response = await withUnchanged(files, () => send(input, init));
      if (isBatch(String(input)) && typeof init?.body === 'string')
        assertBatch(model, init.body, await response.clone().json());
      return response;
    } catch (error) {
      onFailure(error);
      throw error;
    }
  };
}

class SentBytes {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #hashed = new Map<string, number>();
  readonly #begun = new Set<string>();
  readonly #totalBytes: number;
  #doneBytes = 0;

  constructor(private readonly commit: Pick<Commit, 'files' | 'onProgress'>) {
    const { files } = commit;
    this.#sizes = new Map(files.map(({ path, sizeBytes }) => [path, sizeBytes]));
    this.#totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  onBytes(bytes: number): void {
    this.#doneBytes += bytes;
    this.#tell('sending', this.#doneBytes);
  }

  heard(event: CommitProgressEvent): void {
    if (event.event === 'phase') return;
    const { path, progress, state } = event;
    const size = this.#sizes.get(path) ?? 0;
    if (state === 'hashing') {
      this.#hashed.set(path, progress * size);
      const hashed = [...this.#hashed.values()].reduce((sum, bytes) => sum + bytes, 0);
      this.#tell('hashing', Math.floor(hashed));
    } else if (progress === 0) this.#begun.add(path);
    // Done without having begun: the hub has it.
    else if (progress === 1 && !this.#begun.has(path)) this.onBytes(size);
  }

  #tell(phase: PushProgress['phase'], doneBytes: number): void {
    this.commit.onProgress({ phase, doneBytes, totalBytes: this.#totalBytes });
  }
}
