import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';

import type { ShardedCheckpoint } from '../checkpoint.js';
import { CheckpointError, fileError, quoted } from '../errors.js';
import { openShards } from '../open-checkpoint.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { MergePlan, TensorMerge } from './plan.js';
import { mergedUnits } from './tensor.js';

/** Source bytes of a sample, at least one unit. */
const sampleBytes = 4096;
const readBytes = 1 << 20;

export interface VerifyInputs {
  readonly source: ShardedCheckpoint;
  readonly plan: MergePlan;
  /** SHA-256 in hex of what was written, by file. */
  readonly written: ReadonlyMap<string, string>;
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Checks a merged folder as it lies on the disk: it opens as a checkpoint, its headers are the
 * plan's, its files hash to what was written, and the start, middle and end of every tensor are
 * recomputed from the source.
 * @throws CheckpointError CHECKPOINT_VERIFICATION_FAILED
 */
export async function verifyMerge(folder: string, inputs: VerifyInputs): Promise<void> {
  await using merged = await openShards(folder);
  for (const [file, tensors] of inputs.plan) {
    const [output, source] = [merged.files.get(file), inputs.source.files.get(file)];
    if (!output || !source) throw failed(`${file} is missing from ${folder}`);
    assertHeader(output, source, tensors);
    const hash = await hashOf(join(folder, file), inputs);
    if (hash !== inputs.written.get(file))
      throw failed(
        `${file} reads back as SHA-256 ${hash}, written was ${inputs.written.get(file) ?? 'nothing'}`,
      );
    for (const tensor of tensors) await assertSamples(source, output, tensor);
  }
}

function assertHeader(
  output: SafetensorsFile,
  source: SafetensorsFile,
  tensors: readonly TensorMerge[],
): void {
  const describe = (name: string, shape: readonly number[], dtype: string) =>
    `${name} ${dtype} [${shape.join(', ')}]`;
  const expected = tensors.map(({ name, shape, to }) => describe(name, shape, to)).sort();
  const actual = [...output.tensors]
    .map(([name, { shape, dtype }]) => describe(name, shape, dtype))
    .sort();
  if (actual.length !== expected.length || actual.some((line, index) => line !== expected[index])) {
    throw failed(
      `${output.path} holds ${actual.length} tensors, and not just the ${expected.length} expected`,
    );
  }
  const metadataOf = ({ metadata }: SafetensorsFile) =>
    JSON.stringify(Object.entries(metadata).sort());
  if (metadataOf(output) !== metadataOf(source))
    throw failed(`${output.path} has other metadata than ${source.path}`);
}

async function assertSamples(
  source: SafetensorsFile,
  output: SafetensorsFile,
  tensor: TensorMerge,
): Promise<void> {
  const { name, units, unitBytes, outputBytes } = tensor;
  const count = Math.min(units, Math.max(1, Math.floor(sampleBytes / unitBytes)));
  const starts = new Set(count > 0 ? [0, Math.floor((units - count) / 2), units - count] : []);
  for (const start of starts) {
    const expected = await mergedUnits(source, tensor, { start, end: start + count });
    const actual = new Uint8Array(expected.byteLength);
    await output.readRange(name, start * (outputBytes / units), actual);
    if (Buffer.compare(actual, expected) !== 0)
      throw failed(
        `${output.path}: ${quoted(name)} differs from its recomputed value from byte ${start * (outputBytes / units)}`,
      );
  }
}

async function hashOf(path: string, { signal, onBytes }: VerifyInputs): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: readBytes, signal })) {
      hash.update(piece as Buffer);
      onBytes?.((piece as Buffer).byteLength);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, path);
  }
  return hash.digest('hex');
}

function failed(reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_VERIFICATION_FAILED', `merged checkpoint: ${reason}`);
}
