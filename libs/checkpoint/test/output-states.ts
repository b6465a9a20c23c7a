import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { holdPlace } from '../src/output/held-place.js';
import { writeOutput } from '../src/output/write-output.js';

const filesOf = {
  old: ['adapter_config.json', 'adapter_model.safetensors', 'emloc.json', 'uncorrected/old.bin'],
  new: ['adapter_config.json', 'adapter_model.safetensors', 'emloc.json', 'uncorrected/new.bin'],
} as const;
/** What a user has beside an adapter, also in a folder of it. */
const userFiles = ['notes.txt', 'more/deep/notes.txt', 'uncorrected/notes.txt'];

/** An adapter whose every file says which one it is. */
export async function layOutAdapter(folder: string, which: 'old' | 'new'): Promise<void> {
  await mkdir(join(folder, 'uncorrected'), { recursive: true });
  for (const path of filesOf[which]) {
    const text = path === 'emloc.json' ? JSON.stringify({ files: filesOf[which], which }) : which;
    await writeFile(join(folder, path), text);
  }
}

export async function layOutUserFiles(folder: string): Promise<void> {
  await mkdir(join(folder, 'more', 'deep'), { recursive: true });
  for (const path of userFiles) await writeFile(join(folder, path), `my ${path}`);
}

/** What a reader finds who opens an adapter by the names of its files. */
export async function stateOf(folder: string): Promise<{
  /** By weights and their config. */
  readonly adapter: readonly string[];
  readonly hasUserFiles: boolean;
}> {
  const textOf = (path: string): Promise<string> =>
    readFile(join(folder, path), 'utf8').catch(() => 'nothing');
  const user = await Promise.all(userFiles.map(textOf));
  return {
    adapter: await Promise.all([
      textOf('adapter_config.json'),
      textOf('adapter_model.safetensors'),
    ]),
    hasUserFiles: user.every((text, index) => text === `my ${userFiles[index]}`),
  };
}

/** Writes the new adapter over what is there. @throws CheckpointError */
export async function replaceOutput(out: string): Promise<void> {
  const place = await holdPlace(out);
  try {
    await writeOutput(place, (temporary) => layOutAdapter(temporary, 'new'), { overwrite: true });
  } finally {
    await place.release();
  }
}
