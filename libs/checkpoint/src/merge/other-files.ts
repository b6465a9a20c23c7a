import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { writeFileAtomic } from '../atomic.js';
import { fileError } from '../errors.js';
import type { FloatDType } from '../floats.js';
import { parseJsonObject, readJsonBytes } from '../json-file.js';
import { assertNoLfsPointer, isLfsPointer } from '../lfs-pointer.js';
import { configFileName } from '../open-checkpoint.js';

/**
 * The same model's weights in other formats or outside the index: they would be the unmerged ones.
 */
const otherWeights =
  /(\.(safetensors|gguf|pt|pth|ckpt|h5|msgpack|onnx|ot)|(^|\/)pytorch_model[^/]*\.bin(\.index\.json)?)$/;

/** What programs read of a model beside its weights. */
const modelFiles = /\.(json|jinja|model|txt)$/;
const mostPointerBytes = 1024;

/** Files of a model folder beside the weights that are merged, as paths relative to it, sorted. */
export interface OtherFiles {
  readonly copied: readonly string[];
  readonly copiedBytes: number;
  /**
   * Weights in other formats, hidden folders, what is no file, and Git LFS pointers that stand for
   * no file of the model: not part of a merged model.
   */
  readonly leftOut: readonly string[];
}

/** @throws CheckpointError CHECKPOINT_LFS_POINTER where one stands for a file of the model */
export async function listOtherFiles(
  folder: string,
  merged: ReadonlySet<string>,
): Promise<OtherFiles> {
  const found = { copied: [] as string[], copiedBytes: 0, leftOut: [] as string[] };
  try {
    await walk(folder, '', async (path, isFolder) => {
      if (merged.has(path)) return;
      const info = isFolder ? null : await stat(join(folder, path));
      const isPart =
        info?.isFile() === true &&
        !otherWeights.test(path) &&
        !(await isForeignPointer(join(folder, path), info.size));
      if (!isPart) {
        found.leftOut.push(path);
        return;
      }
      found.copied.push(path);
      found.copiedBytes += info.size;
    });
  } catch (error) {
    throw fileError(error, folder);
  }
  return found;
}

async function isForeignPointer(path: string, bytes: number): Promise<boolean> {
  if (bytes > mostPointerBytes) return false;
  const content = await readFile(path);
  if (modelFiles.test(path)) assertNoLfsPointer(content, path);
  return isLfsPointer(content);
}

/** Copies them; with a dtype, config.json and the index say so afterwards. */
export async function copyOtherFiles(from: string, to: string, files: OtherFiles): Promise<void> {
  try {
    for (const path of files.copied) {
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
      text.replace(/("total_size"\s*:\s*)[\d.eE+]+/, `$1${totalBytes}`),
    );
}

/**
 * Edits the text, not the object, so that numbers such as 1e-06 and 10000.0 stay as they are
 * written.
 */
function withDType(text: string, dtype: FloatDType): string {
  const key = /("(?:torch_)?dtype"\s*:\s*)(?:"[^"]*"|null)/g;
  return key.test(text)
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
 * Visits files, and the folders that are not entered. Links to folders are not followed: they may
 * lead anywhere.
 */
async function walk(
  root: string,
  under: string,
  visit: (path: string, isFolder: boolean) => Promise<void>,
): Promise<void> {
  const entries = await readdir(join(root, under), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    const isHiddenFolder = entry.isDirectory() && entry.name.startsWith('.');
    if (entry.isDirectory() && !isHiddenFolder) await walk(root, path, visit);
    else await visit(path, isHiddenFolder);
  }
}
