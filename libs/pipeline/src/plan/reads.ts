import { tensorBytes, type Checkpoint } from '@emloc/checkpoint';
import type { Model } from '@emloc/models';

/** What decides how often weights are read from disk. */
interface Streaming {
  /** All that is copied to the device while a stage runs. */
  readonly uploadedBytes: number;
  /** All weights of the stage's model, and those of them that stay on the device. */
  readonly weightBytes: number;
  readonly residentBytes: number;
  /** Host memory for the rest. */
  readonly hostBytes: number;
}

/** Bytes that a stage reads from disk. */
interface ReadBytes {
  /** Each weight, as it is needed first. */
  readonly once: number;
  /** At every further copy the share that the host has no room for. */
  readonly again: number;
  /** Of `once`, those that stay in host memory for further copies. */
  readonly kept: number;
}

export function readBytes(streaming: Streaming): ReadBytes {
  const { uploadedBytes, weightBytes, residentBytes, hostBytes } = streaming;
  const streamed = Math.max(0, weightBytes - residentBytes);
  const missing = streamed > hostBytes ? 1 - hostBytes / streamed : 0;
  const once = Math.min(uploadedBytes, weightBytes);
  return {
    once,
    again: missing * (uploadedBytes - once),
    kept: uploadedBytes > weightBytes ? Math.min(streamed, hostBytes) : 0,
  };
}

/** A second of a slow disk; of less a fast one's rate is told twice as high or half, by chance. */
const probeBytes = 2 ** 28;
const mostTensors = 16;
/** More than that, as tables of some models are, no buffer has to hold. */
const mostTensorBytes = 2 ** 30;

/**
 * Seconds that reading a byte of a model's files takes now, by reading some of its largest tensors
 * beside each other, as a job does: what a call costs counts little there.
 */
export async function measureReads({ checkpoint }: Pick<Model, 'checkpoint'>): Promise<number> {
  const reads = probedTensors(checkpoint).map(({ name, size }) => ({
    name,
    destination: new Uint8Array(size),
  }));
  const bytes = reads.reduce((sum, { destination }) => sum + destination.length, 0);
  if (bytes === 0) return 0;
  const started = performance.now();
  await Promise.all(reads.map(({ name, destination }) => checkpoint.read(name, destination)));
  return (performance.now() - started) / 1000 / bytes;
}

/** The largest of a model, one at least. */
function probedTensors(checkpoint: Checkpoint): { readonly name: string; readonly size: number }[] {
  const largest = sizesIn(checkpoint)
    .filter(({ size }) => size <= mostTensorBytes)
    .sort((a, b) => b.size - a.size)
    .slice(0, mostTensors);
  let bytes = 0;
  return largest.filter(({ size }) => {
    const isTaken = bytes === 0 || bytes + size <= probeBytes;
    if (isTaken) bytes += size;
    return isTaken;
  });
}

const bytesOf = new WeakMap<Checkpoint, number>();

/** Bytes that a model's tensors take in its files; they are counted once, for they may be many. */
export function fileBytes({ checkpoint }: Pick<Model, 'checkpoint'>): number {
  const known = bytesOf.get(checkpoint);
  if (known !== undefined) return known;
  const bytes = sizesIn(checkpoint).reduce((sum, { size }) => sum + size, 0);
  bytesOf.set(checkpoint, bytes);
  return bytes;
}

function sizesIn({ tensors }: Checkpoint): { readonly name: string; readonly size: number }[] {
  return [...tensors].map(([name, { shape, dtype }]) => ({
    name,
    size: tensorBytes(shape, dtype) ?? 0,
  }));
}
