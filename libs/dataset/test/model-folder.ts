import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  loadTokenizer,
  type ChatTokenizer,
  type TextOptions,
} from '../src/templates/chat-tokenizer.js';

/** The repository's `examples` folder. */
export const examplesFolder = fileURLToPath(new URL('../../../examples', import.meta.url));

export function exampleModel(name: 'demo-5m' | 'tiny-qwen2'): string {
  return join(examplesFolder, 'models', name);
}

/** Runs `body` in a new empty folder, which is removed afterwards. */
export async function inTemporaryFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-dataset-'));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Writes demo-5m's tokenizer into a folder, together with these files (objects as JSON) and nothing
 * else of the model.
 */
export async function writeTokenizer(
  folder: string,
  files: Readonly<Record<string, string | object>>,
): Promise<void> {
  await cp(join(exampleModel('demo-5m'), 'tokenizer.json'), join(folder, 'tokenizer.json'));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(
      join(folder, name),
      typeof content === 'string' ? content : JSON.stringify(content),
    );
  }
}

/** How rows become text where a test says nothing else. */
export const textOptions = Object.freeze({
  date: '2024-07-26',
  chatTemplate: null,
  templateArguments: null,
});

/** The tokenizer of a folder with demo-5m's tokenizer and these files. */
export function tokenizerWith(
  files: Readonly<Record<string, string | object>>,
  options: Partial<TextOptions> = {},
): Promise<ChatTokenizer> {
  return inTemporaryFolder(async (folder) => {
    await writeTokenizer(folder, files);
    return loadTokenizer(folder, { ...textOptions, ...options });
  });
}

/** Bytes and texts as they are, objects as JSON. */
export type FolderFiles = Readonly<Record<string, string | object | Uint8Array>>;

/** The tokenizer of a folder with these files and nothing else. */
export function tokenizerOf(
  files: FolderFiles,
  options: Partial<TextOptions> = {},
): Promise<ChatTokenizer> {
  return inTemporaryFolder(async (folder) => {
    for (const [name, content] of Object.entries(files))
      await writeFile(
        join(folder, name),
        typeof content === 'string' || content instanceof Uint8Array
          ? content
          : JSON.stringify(content),
      );
    return loadTokenizer(folder, { ...textOptions, ...options });
  });
}
