import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readRegularFile } from '@emloc/untrusted';

import { writeFileAtomic } from '../atomic.js';
import { fileError } from '../errors.js';
import type { FloatDType } from '../floats.js';
import { parseJsonObject, readJsonBytes } from '../json-file.js';
import { assertNoLfsPointer, isLfsPointer } from '../lfs-pointer.js';
import { configFileName } from '../open-checkpoint.js';
import type { Components, MergeSource } from './source.js';

/**
 * The same model's weights in other formats or outside the index: they would be the unmerged ones.
 */
const otherWeights =
  /(\.(safetensors|gguf|pt|pth|ckpt|h5|msgpack|onnx|ot)|(^|\/)(diffusion_)?pytorch_(model|lora_weights)[^/]*\.bin(\.index\.json)?)$/;

/** What programs read of a model beside the weights that are merged. */
const modelFiles = /\.(json|jinja|model|txt|safetensors)$/;
const mostPointerBytes = 1024;

/** Files of a model folder beside the weights that are merged, as paths relative to it, sorted. */
export interface OtherFiles {
  readonly copied: readonly string[];
  /** Of each, in their order. */
  readonly copiedBytes: readonly number[];
  /**
   * Weights in other formats, hidden folders, what is no file, and Git LFS pointers that stand for
   * no file of the model: not part of a merged model.
   */
  readonly leftOut: readonly string[];
}

/** @throws CheckpointError CHECKPOINT_LFS_POINTER where one stands for a file of the model */
export async function listOtherFiles(
  { folder, components }: Pick<MergeSource, 'folder' | 'components'>,
  merged: ReadonlySet<string>,
): Promise<OtherFiles> {
  const found = { copied: [] as string[], copiedBytes: [] as number[], leftOut: [] as string[] };
  try {
    await walk({ root: folder, followed: components.links }, '', async (path, isFolder) => {
      if (merged.has(path)) return;
      const info = isFolder ? null : await stat(join(folder, path));
      const isPart =
        info?.isFile() === true &&
        (isComponent(path, components) || !otherWeights.test(path)) &&
        !(await isForeignPointer(join(folder, path), info.size));
      if (!isPart) {
        found.leftOut.push(path);
        return;
      }
      found.copied.push(path);
      found.copiedBytes.push(info.size);
    });
  } catch (error) {
    throw fileError(error, folder);
  }
  return found;
}

/** Whether a path belongs to what is no part of the weights that are merged into. */
function isComponent(path: string, { folders, files }: Components): boolean {
  const slash = path.indexOf('/');
  return slash < 0 ? files.has(path) : folders.has(path.slice(0, slash));
}

async function isForeignPointer(path: string, bytes: number): Promise<boolean> {
  if (bytes > mostPointerBytes) return false;
  const content = await readRegularFile(path, mostPointerBytes);
  if (modelFiles.test(path)) assertNoLfsPointer(content, path);
  return isLfsPointer(content);
}

export async function copyOtherFiles(
  from: string,
  to: string,
  { copied, signal }: Pick<OtherFiles, 'copied'> & { readonly signal?: AbortSignal },
): Promise<void> {
  try {
    for (const path of copied) {
      signal?.throwIfAborted();
      await mkdir(dirname(join(to, path)), { recursive: true });
      await copyFile(join(from, path), join(to, path), constants.COPYFILE_FICLONE);
    }
  } catch (error) {
    throw fileError(error, to);
  }
}

/**
 * Brings config.json and the index of a copied folder in line with another dtype; nothing else in
 * them changes.
 */
export async function rewriteDType(
  folder: string,
  {
    dtype,
    totalBytes,
    indexFile,
  }: { dtype: FloatDType; totalBytes: number; indexFile: string | null },
): Promise<void> {
  await rewriteJson(join(folder, configFileName), (text) => withDType(text, dtype));
  if (indexFile !== null)
    await rewriteJson(join(folder, indexFile), (text) =>
      text.replace(/("total_size"\s*:\s*)[-+.\w]+/, `$1${totalBytes}`),
    );
}

/**
 * Edits the text, not the object, so that numbers such as 1e-06 and 10000.0 stay as they are
 * written.
 */
function withDType(text: string, dtype: FloatDType): string {
  const key = /("(?:torch_)?dtype"\s*:\s*)(?:"[^"]*"|null)/g;
  // diffusers keeps no dtype in its configs.
  return key.test(text) || text.includes('"_class_name"')
    ? text.replace(key, `$1"${dtype}"`)
    : text.replace('{', `{\n  "torch_dtype": "${dtype}",`);
}

async function rewriteJson(path: string, edit: (text: string) => string): Promise<void> {
  const bytes = await readJsonBytes(path, 'CHECKPOINT_INVALID_CONFIG');
  const edited = edit(bytes.toString('utf8'));
  parseJsonObject(Buffer.from(edited), path, 'CHECKPOINT_INVALID_CONFIG');
  await writeFileAtomic(path, edited);
}

/**
 * Visits files, and the folders that are not entered. Links to folders are followed where they are
 * one of those named, at the root: others may lead anywhere.
 */
async function walk(
  { root, followed }: { readonly root: string; readonly followed: ReadonlySet<string> },
  under: string,
  visit: (path: string, isFolder: boolean) => Promise<void>,
): Promise<void> {
  const entries = await readdir(join(root, under), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    const isLinked = entry.isSymbolicLink() && followed.has(path);
    const isFolder =
      entry.isDirectory() || (isLinked && (await stat(join(root, path))).isDirectory());
    const isHiddenFolder = isFolder && entry.name.startsWith('.');
    if (isFolder && !isHiddenFolder) await walk({ root, followed }, path, visit);
    else await visit(path, isHiddenFolder);
  }
}
