import type { UploadedDataset } from '@emloc/sdk';

/** Data as a deployment knows it. */
export type JobSource = string | UploadedDataset;

/** Data that a flag names on the deployment; null: it is of this machine. */
export function deployedSource(text: string): JobSource | null {
  if (text.startsWith('server:')) return text.slice('server:'.length);
  return /^datasets\/[^/]+$/.test(text) ? { dataset: text } : null;
}
