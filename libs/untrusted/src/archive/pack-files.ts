import { createTarPacker, type TarPackController } from 'modern-tar';

import { FileRefusal } from '../file-refusal.js';
import { openRegularFile } from '../regular-file.js';
import { ArchiveNames, maxArchiveFiles } from './archive-names.js';

export interface PackedFile {
  /** Path in the archive, with slashes. */
  readonly name: string;
  /** Where it is read. */
  readonly path: string;
}

const readBytes = 256 * 1024;

/**
 * A tar archive (POSIX, pax for long names) of files. It depends on names and contents alone: it
 * has no times and owners, and the files by name.
 * @throws ArchiveRefusal for names that would not be unpacked; FileRefusal, or an error of the file
 * system
 */
export async function* packFiles(files: readonly PackedFile[]): AsyncGenerator<Uint8Array> {
  const names = new ArchiveNames(maxArchiveFiles);
  for (const { name } of files) names.add(name);
  const { readable, controller } = createTarPacker();
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  const writing = writeFiles(sorted, controller).catch((error: unknown) => controller.error(error));
  try {
    yield* readable;
  } finally {
    await writing;
  }
}

async function writeFiles(
  files: readonly PackedFile[],
  controller: TarPackController,
): Promise<void> {
  for (const file of files) await writeFile(file, controller);
  controller.finalize();
}

async function writeFile({ name, path }: PackedFile, controller: TarPackController): Promise<void> {
  const { handle, bytes } = await openRegularFile(path);
  try {
    const header = { name, size: bytes, mode: 0o600, mtime: new Date(0) };
    const writer = controller.add(header).getWriter();
    for (let done = 0; done < bytes;) {
      const length = Math.min(readBytes, bytes - done);
      const { bytesRead, buffer } = await handle.read(new Uint8Array(length), 0, length, done);
      if (bytesRead === 0) throw new FileRefusal(path, 'became shorter while it was read');
      await writer.write(buffer.subarray(0, bytesRead));
      done += bytesRead;
    }
    await writer.close();
  } finally {
    await handle.close();
  }
}
