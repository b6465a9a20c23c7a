import { stat } from 'node:fs/promises';
import type { UploadedDataset } from '@emloc/sdk';

import { UsageError } from './usage-error.js';

/** Data as a deployment knows it. */
export type JobSource = string | UploadedDataset;

/** Data that a flag names on the deployment; null: it is of this machine. */
export function deployedSource(text: string): JobSource | null {
  if (text.startsWith('server:')) return text.slice('server:'.length);
  return /^datasets\/[^/]+$/.test(text) ? { dataset: text } : null;
}

/** @throws UsageError for a folder of this machine: files of rows are uploaded, folders are not */
export async function assertUploadable(flag: string, path: string): Promise<void> {
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (isFolder) throw notUploaded(flag, path);
}

/** @throws UsageError for images of this machine */
export function deployedFolder(flag: string, path: string): JobSource {
  const source = deployedSource(path);
  if (source === null) throw notUploaded(flag, path);
  return source;
}

function notUploaded(flag: string, path: string): UsageError {
  return new UsageError(
    `${flag} ${path}: folders of images are not uploaded; give server:PATH, a folder that the server sees`,
  );
}
