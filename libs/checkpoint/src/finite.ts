import { at } from '@emloc/checked';
import { openRegularFile } from '@emloc/untrusted';

import { CheckpointError, quoted } from './errors.js';
import type { FileRange } from './file-hasher.js';
import { FileThreads, ioFailed } from './file-threads.js';
import { areFinite, type ExponentBits } from './file-worker.mjs';
import { toFloat32, type FloatDType } from './floats.js';

const exponentsOf: Readonly<Record<FloatDType, ExponentBits>> = Object.freeze({
  float32: { mask: 0x7f800000, carry: 0x00800000, signs: 0x80000000 },
  bfloat16: { mask: 0x7f807f80, carry: 0x00800080, signs: 0x80008000 },
  float16: { mask: 0x7c007c00, carry: 0x04000400, signs: 0x80008000 },
});

/** Where values come from: a tensor, and the file that it is in. */
export interface TensorPlace {
  readonly name: string;
  readonly file: string;
}

/**
 * @param bytes little-endian values of `dtype`, as they stand in the file
 * @throws CheckpointError CHECKPOINT_NOT_FINITE naming tensor, file and the first value that is NaN
 * or infinite.
 */
export function assertFinite(bytes: Uint8Array, dtype: FloatDType, place: TensorPlace): void {
  if (areFinite(bytes, exponentsOf[dtype])) return;
  const values = toFloat32(bytes, dtype);
  const value = values.find((each) => !Number.isFinite(each));
  throw new CheckpointError(
    'CHECKPOINT_NOT_FINITE',
    `${quoted(place.name)} in ${place.file} holds ${String(value)}, which is not finite: get the file again, or leave this model or adapter`,
  );
}

/** What a thread looks through at a time; a whole number of values of any type. */
const scannedBytes = 1 << 25;

/** Looks in threads of its own for values that are NaN or infinite, as they stand in files. */
export class FiniteScanner implements AsyncDisposable {
  readonly #threads = new FileThreads('finite scanner');

  /**
   * @param range from the beginning of a value
   * @throws CheckpointError CHECKPOINT_NOT_FINITE, as `assertFinite`; CHECKPOINT_IO_FAILED
   */
  async assertFinite(range: FileRange, dtype: FloatDType, place: TensorPlace): Promise<void> {
    const exponents = exponentsOf[dtype];
    const parts = partsOf(range);
    const answers = await Promise.all(
      parts.map((part) => this.#threads.run({ ...part, exponents })),
    );
    const bad = parts.find((_, index) => !at(answers, index).isFinite);
    if (!bad) return;
    assertFinite(await bytesOf(bad), dtype, place);
    throw ioFailed(`${range.path} changed while it was read`);
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function partsOf({ start, bytes, ...file }: FileRange): readonly FileRange[] {
  return Array.from({ length: Math.ceil(bytes / scannedBytes) }, (_, index) => {
    const before = index * scannedBytes;
    return { ...file, start: start + before, bytes: Math.min(scannedBytes, bytes - before) };
  });
}

async function bytesOf({ path, start, bytes }: FileRange): Promise<Uint8Array> {
  const { handle } = await openRegularFile(path);
  await using file = handle;
  const values = new Uint8Array(bytes);
  await file.read(values, 0, bytes, start);
  return values;
}
