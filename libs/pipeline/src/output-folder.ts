import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { PipelineError } from './errors.js';

/** What a job has beside its output folder, hidden by a leading dot. */
export interface OutputPaths {
  readonly parent: string;
  readonly folder: string;
  /** Progress of a job that is not done. */
  readonly progress: string;
  readonly lock: string;
  /** An output while another takes its place. */
  readonly replaced: string;
}

export function outputPaths(out: string): OutputPaths {
  const folder = resolve(out);
  const parent = dirname(folder);
  const hidden = (suffix: string): string => join(parent, `.${basename(folder)}.${suffix}`);
  return {
    parent,
    folder,
    progress: hidden('job'),
    lock: hidden('lock'),
    replaced: hidden('replaced'),
  };
}

/**
 * Creates the parent.
 * @throws PipelineError PIPELINE_OUTPUT_EXISTS where an adapter may not be written
 */
export async function assertWritable(out: string, overwrite: boolean): Promise<void> {
  const entries = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw new PipelineError(
      'PIPELINE_OUTPUT_EXISTS',
      `output ${out}: ${error.code === 'ENOTDIR' ? 'is a file' : error.message}`,
      { cause: error },
    );
  });
  if (entries.length > 0 && !(overwrite && entries.includes('adapter_config.json'))) {
    const hint = overwrite
      ? 'and holds no adapter, so it is not replaced'
      : 'choose another, or allow it to be overwritten';
    throw new PipelineError(
      'PIPELINE_OUTPUT_EXISTS',
      `output ${out}: the folder is not empty; ${hint}`,
    );
  }
  await mkdir(outputPaths(out).parent, { recursive: true });
}

/**
 * Cleans up after processes that were killed while they wrote to this output; its lock must be
 * held. An output that was being replaced comes back.
 */
export async function sweepOutput(out: string): Promise<void> {
  const { parent, folder, replaced } = outputPaths(out);
  const isFolderThere = await access(folder).then(
    () => true,
    () => false,
  );
  if (isFolderThere) await rm(replaced, { recursive: true, force: true });
  else await rename(replaced, folder).catch(ignoreMissing);
  const isTemporary = temporariesOf(basename(folder));
  for (const name of await readdir(parent))
    if (isTemporary(name)) await rm(join(parent, name), { recursive: true, force: true });
}

/**
 * Whether a name is one that an atomic write to `name`, or taking over its lock, gives while it is
 * under way.
 */
function temporariesOf(name: string): (entry: string) => boolean {
  const prefix = `.${name}.`;
  return (entry) =>
    entry.startsWith(prefix) &&
    /^(?:[0-9a-f]{12}\.tmp|lock\.[0-9a-f]{12})$/.test(entry.slice(prefix.length));
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
