import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { readRegularFileSync } from '@emloc/untrusted';

/** A thousand times what the largest has. */
const maxImageBytes = 1_000_000_000;

/**
 * Compiled kernels on disk. A folder that cannot be written to costs a compilation per process,
 * nothing else.
 */
export interface KernelCache {
  read(key: string): Uint8Array | null;
  write(key: string, image: Uint8Array): void;
}

/** `$XDG_CACHE_HOME/emloc/kernels`, or the same under `~/.cache`. */
export function kernelCacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'emloc', 'kernels');
}

/** The file name of an image: whatever decides its bytes is hashed. */
export function kernelKey(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

export function createKernelCache(folder = kernelCacheFolder()): KernelCache {
  return {
    read(key) {
      try {
        const stored = readRegularFileSync(join(folder, key), maxImageBytes);
        const image = stored.subarray(32);
        return digest(image).equals(stored.subarray(0, 32)) ? image : null;
      } catch {
        return null; // Not compiled yet, or not readable: it is compiled.
      }
    },
    write(key, image) {
      const path = join(folder, key);
      try {
        mkdirSync(folder, { recursive: true });
        const beside = `${path}.${process.pid}`;
        rmSync(beside, { force: true });
        writeFileSync(beside, Buffer.concat([digest(image), image]), { flag: 'wx' });
        renameSync(beside, path);
      } catch {
        return; // See the interface.
      }
    },
  };
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
