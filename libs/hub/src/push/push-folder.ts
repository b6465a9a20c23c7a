import { cut, HubError } from '../errors.js';
import { HubClient } from '../hub-client.js';
import { hubNameText, isCommit, parseHubName, type HubName } from '../hub-name.js';
import type { Asking } from '../listing.js';
import { defaultRetryPolicy, type RetryPolicy } from '../retry.js';
import { safeToken } from '../safe-token.js';
import type { HubSettings } from '../settings.js';
import { commitFiles, type PushProgress } from './commit-files.js';
import { folderFiles, withUnchanged, type LeftOut, type LocalFile } from './folder-files.js';
import { openBranch } from './repository.js';
import { isSameFile } from './same-file.js';

/** What is sent, and where to. */
export interface PushOptions {
  /** An adapter's or a checkpoint's. */
  readonly folder: string;
  /** OWNER/NAME; made, private, where it is not there. */
  readonly name: string;
  /** A branch, made from `main` where it is not there; null: `main`. */
  readonly revision: string | null;
  /** Null: one that says what it is. */
  readonly message: string | null;
  /** Whether everybody may read it. */
  readonly isPublic: boolean;
}

/** Who sends it. */
export interface PushHost {
  readonly settings: HubSettings;
  /** Name and version of the program. */
  readonly program: string;
  readonly signal: AbortSignal;
  readonly policy?: RetryPolicy;
  onNotice(message: string): void;
  onProgress(progress: PushProgress): void;
}

/** What was done, by paths in the repository. */
export interface Pushed {
  readonly name: string;
  /** Page of the model. */
  readonly url: string;
  readonly revision: string;
  readonly commit: string;
  readonly isPrivate: boolean;
  readonly sent: readonly string[];
  /** There already, with the same contents. */
  readonly unchanged: readonly string[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * A hub checks and commits what was sent before it answers: such an answer is waited for so many
 * times as long as others.
 */
const answerPatience = 10;
const mostMessageCharacters = 500;

/**
 * Sends an adapter or a checkpoint to a hub, in one commit. What is there already is not sent
 * again; where that is all, there is no commit.
 * @throws HubError
 */
export async function pushFolder(options: PushOptions, host: PushHost): Promise<Pushed> {
  const { settings, program, signal } = host;
  const target = targetOf(options);
  const token = tokenOf(host);
  const found = await folderFiles(options.folder);
  const timeoutMs = settings.timeoutMs * answerPatience;
  const client = new HubClient({ endpoint: settings.endpoint, token, timeoutMs }, program);
  const asking = { client, signal, policy: host.policy ?? defaultRetryPolicy };
  try {
    const message = options.message ?? `Upload ${found.kind} with ${program.replace('/', ' ')}`;
    return {
      ...(await push({ ...options, message, target }, { host, asking, files: found.files })),
      leftOut: found.leftOut,
    };
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new HubError(
      'HUB_INTERRUPTED',
      `the push to ${hubNameText(target)} was interrupted; nothing was committed, and the hub keeps the large files that it has whole: the same command sends the others`,
      { cause: signal.reason },
    );
  } finally {
    await client.close();
  }
}

interface PushParts {
  readonly host: PushHost;
  readonly asking: Asking;
  readonly files: readonly LocalFile[];
}

async function push(
  {
    target,
    isPublic,
    message,
  }: PushOptions & { readonly target: HubName; readonly message: string },
  { host, asking, files }: PushParts,
): Promise<Omit<Pushed, 'leftOut'>> {
  const branch = await openBranch({ hubName: target, isPublic }, asking);
  if (branch.isPrivate && isPublic)
    host.onNotice(`${target.name} is private and stays so: its page has a switch`);
  const there = new Map(branch.files.map((file) => [file.path, file]));
  const [changed, unchanged]: [LocalFile[], string[]] = [[], []];
  for (const file of files)
    if (await withUnchanged([file], () => isSameFile(file, there.get(file.path), asking.signal)))
      unchanged.push(file.path);
    else changed.push(file);
  const { onProgress } = host;
  const commit =
    changed.length === 0 && branch.commit !== null
      ? branch.commit
      : await commitFiles({ hubName: target, files: changed, message, onProgress }, asking);
  return {
    name: target.name,
    url: `${asking.client.endpoint}/${target.name}`,
    revision: target.revision ?? 'main',
    commit,
    isPrivate: branch.isPrivate,
    sent: changed.map(({ path }) => path),
    unchanged,
  };
}

/** @throws HubError HUB_OPTION_INVALID */
function targetOf({ name, revision, message }: PushOptions): HubName {
  const hubName = name.includes('@') ? null : parseHubName(name);
  if (hubName === null)
    throw new HubError(
      'HUB_OPTION_INVALID',
      `${JSON.stringify(cut(name))}: OWNER/NAME is expected, and a branch as --revision`,
    );
  if (message !== null && (message.trim() === '' || message.length > mostMessageCharacters))
    throw new HubError(
      'HUB_OPTION_INVALID',
      `--message: a text of up to ${mostMessageCharacters} characters is expected, ${message.length} given`,
    );
  if (revision === null) return hubName;
  if (isCommit(revision))
    throw new HubError('HUB_OPTION_INVALID', `--revision ${revision}: a branch is expected`);
  return parseHubName(`${name}@${revision}`) ?? hubName;
}

/** @throws HubError HUB_OFFLINE, HUB_TOKEN_MISSING */
function tokenOf({ settings, onNotice }: PushHost): string {
  if (settings.isOffline)
    throw new HubError('HUB_OFFLINE', 'HF_HUB_OFFLINE forbids to speak with a hub');
  const token = safeToken(settings, onNotice);
  if (token !== null) return token;
  throw new HubError(
    'HUB_TOKEN_MISSING',
    settings.token === null
      ? `a push to ${settings.endpoint} needs a token that allows to write: HF_TOKEN, or \`hf auth login\``
      : `a push to ${settings.endpoint} needs a token, which would not be encrypted: HF_ENDPOINT must begin with https://`,
  );
}
