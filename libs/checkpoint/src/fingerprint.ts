import { createHash } from 'node:crypto';

import type { SafetensorsFile } from './safetensors-file.js';

const sampleBytes = 256;
/** Samples are read this many at a time: they are small and far apart. */
const concurrentReads = 16;

/**
 * The hash, in hex, that `Checkpoint.fingerprint` describes. Each part goes in with its length
 * before it.
 */
export async function fingerprint(
  config: Uint8Array,
  files: ReadonlyMap<string, SafetensorsFile>,
): Promise<string> {
  const hash = createHash('sha256');
  const add = (part: string | Uint8Array) => {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    hash.update(`${bytes.byteLength}:`).update(bytes);
  };
  add(config);
  for (const [name, file] of files) {
    for (const part of [name, String(file.bytes), file.headerBytes]) add(part);
    for (const sample of await samplesOf(file)) add(sample);
  }
  return hash.digest('hex');
}

async function samplesOf(file: SafetensorsFile): Promise<Uint8Array[]> {
  const tensors = [...file.tensors];
  const samples: Uint8Array[] = [];
  for (let first = 0; first < tensors.length; first += concurrentReads) {
    const batch = tensors
      .slice(first, first + concurrentReads)
      .map(([name, { start, end }]) => sampleOf(file, name, end - start));
    samples.push(...(await Promise.all(batch)));
  }
  return samples;
}

async function sampleOf(file: SafetensorsFile, name: string, bytes: number): Promise<Uint8Array> {
  const sample = new Uint8Array(Math.min(sampleBytes, bytes));
  await file.readRange(name, Math.floor((bytes - sample.byteLength) / 2), sample);
  return sample;
}
