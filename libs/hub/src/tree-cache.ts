import { HubError } from './errors.js';
import { readText } from './read-text.js';
import { toRepoFile, type RepoFile } from './repo-file.js';
import { writeWhole } from './write-whole.js';

/** Format of Python's huggingface_hub, which reads and writes the same files. */
const formatVersion = 1;

interface TreeEntry {
  readonly size?: unknown;
  readonly blob_id?: unknown;
  readonly lfs_sha256?: unknown;
  readonly lfs_size?: unknown;
  readonly xet_hash?: unknown;
}

/** The listing of a commit as it was kept; null where there is none that can be used. */
export async function readTree(path: string): Promise<readonly RepoFile[] | null> {
  const text = await readText(path).catch(() => null);
  if (text === null) return null;
  try {
    return parseTree(path, text);
  } catch (error) {
    if (error instanceof HubError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function parseTree(path: string, text: string): readonly RepoFile[] | null {
  const tree = JSON.parse(text) as { format_version?: unknown; files?: unknown } | null;
  if (tree?.format_version !== formatVersion || typeof tree.files !== 'object') return null;
  return Object.entries((tree.files ?? {}) as Record<string, TreeEntry>).map(([file, entry]) =>
    toRepoFile(path, {
      path: file,
      size: entry.lfs_size ?? entry.size,
      oid: entry.blob_id,
      sha256: entry.lfs_sha256,
      xetHash: entry.xet_hash,
    }),
  );
}

/** Keeps the listing of a commit, which never changes. */
export function writeTree(path: string, files: readonly RepoFile[]): Promise<void> {
  const entries = files.map(({ path: file, sizeBytes, gitSha1, sha256, xetHash }) => [
    file,
    {
      size: sizeBytes,
      blob_id: gitSha1,
      ...(sha256 === null ? {} : { lfs_sha256: sha256, lfs_size: sizeBytes }),
      ...(xetHash === null ? {} : { xet_hash: xetHash }),
    },
  ]);
  const tree = { format_version: formatVersion, files: Object.fromEntries(entries) as unknown };
  return writeWhole(path, JSON.stringify(tree, null, 1));
}
