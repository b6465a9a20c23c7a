import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { writeFileAtomic } from '../atomic.js';
import type { ShardedCheckpoint } from '../checkpoint.js';
import type { FloatDType } from '../floats.js';
import type { LoraAdapter } from '../lora-adapter.js';
import { configFileName, openShards } from '../open-checkpoint.js';
import { holdPlace, settleOutput } from '../output/held-place.js';
import { assertReplaceable, recordFileName } from '../output/owned.js';
import { findPlace } from '../output/place.js';
import { writeOutput } from '../output/write-output.js';
import { withPathsOf } from '../rename-layers.js';
import { writeSafetensors } from '../write-safetensors.js';
import { copyOtherFiles, listOtherFiles, rewriteDType, type OtherFiles } from './other-files.js';
import { assertFreeDisk, assertOutsideModel } from './output-folder.js';
import { assertOwnHead, outputBytes, planMerge, type MergePlan, type TensorMerge } from './plan.js';
import { mergedPieces } from './tensor.js';
import { assertLayersUsed } from './unused-layers.js';
import { verifyMerge } from './verify.js';

export interface MergeProgress {
  readonly phase: 'merging' | 'verifying';
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface MergeOptions {
  /** The base model's folder. */
  readonly model: string;
  readonly adapter: LoraAdapter;
  /** Must not exist, or be empty, unless `overwrite` says otherwise; not inside `model`. */
  readonly out: string;
  /** Whether a merged checkpoint that is there already is replaced. */
  readonly overwrite?: boolean;
  /** Whether a checkpoint may have more layers than its config says. Default: no. */
  readonly allowUnusedLayers?: boolean;
  /** What all floating-point tensors are stored in; by default each keeps its own. */
  readonly dtype?: FloatDType;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: MergeProgress) => void;
}

export interface MergeReport {
  readonly folder: string;
  readonly mergedLayers: number;
  /** Bytes of all tensors. */
  readonly tensorBytes: number;
  /** SHA-256 in hex by weight file. */
  readonly files: Readonly<Record<string, string>>;
  /**
   * Paths in the model's folder that are not part of the merged model, e.g. its weights in other
   * formats.
   */
  readonly leftOut: readonly string[];
}

/**
 * Writes W + s · B A in place of every adapted weight, file by file, with everything else as it
 * was. Memory: the adapter and a few pieces of 8 MiB. The folder appears complete and verified, or
 * not at all.
 * @throws CheckpointError before anything is written where the adapter does not fit, the disk is
 * too full or `out` is taken.
 */
export async function mergeCheckpoint(options: MergeOptions): Promise<MergeReport> {
  const { model, out, dtype, signal, overwrite = false } = options;
  signal?.throwIfAborted();
  await settleOutput(model);
  await using source = await openShards(model);
  if (options.allowUnusedLayers !== true) assertLayersUsed(source);
  const adapter = withPathsOf(options.adapter, (path) => source.tensors.has(`${path}.weight`));
  await assertOwnHead(source, adapter);
  const plan = planMerge(source, adapter, dtype);
  await assertOutsideModel(model, await findPlace(out));
  const others = await listOtherFiles(model, new Set([...plan.keys(), recordFileName]));
  await assertFreeDisk(out, neededBytes(source, plan, others));
  const files = [...plan.keys(), ...others.copied, recordFileName].sort();
  await using place = await holdPlace(out);
  await assertReplaceable(place, { overwrite, kind: mergedKind, written: files });
  const written = await writeOutput(
    place,
    (temporary) => fill(temporary, { ...options, source, plan, others, files }),
    { signal, overwrite },
  );
  return {
    folder: out,
    mergedLayers: adapter.layers.size,
    tensorBytes: outputBytes(plan),
    files: Object.fromEntries(written),
    leftOut: others.leftOut,
  };
}

const mergedKind = { name: 'merged checkpoint', mark: configFileName };

interface FillInputs extends MergeOptions {
  readonly source: ShardedCheckpoint;
  readonly plan: MergePlan;
  readonly others: OtherFiles;
  /** Paths of everything that is written. */
  readonly files: readonly string[];
}

/** Writes and verifies the folder; returns SHA-256 by weight file. */
async function fill(
  temporary: string,
  { model, dtype, source, plan, others, files, signal, onProgress }: FillInputs,
): Promise<ReadonlyMap<string, string>> {
  const totalBytes = outputBytes(plan);
  await copyOtherFiles(model, temporary, others);
  if (dtype) await rewriteDType(temporary, { dtype, totalBytes, indexFile: source.indexFile });
  const written = new Map<string, string>();
  const onMerged = counter('merging', totalBytes, onProgress);
  for (const [file, tensors] of plan)
    written.set(
      file,
      await mergeFile(join(temporary, file), { source, file, tensors, signal, onBytes: onMerged }),
    );
  await verifyMerge(temporary, {
    source,
    plan,
    written,
    signal,
    onBytes: counter('verifying', totalBytes, onProgress),
  });
  await writeFileAtomic(join(temporary, recordFileName), `${JSON.stringify({ files }, null, 2)}\n`);
  return written;
}

interface MergeFileInputs {
  readonly source: ShardedCheckpoint;
  readonly file: string;
  readonly tensors: readonly TensorMerge[];
  readonly signal?: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

async function mergeFile(
  path: string,
  { source, file, tensors, signal, onBytes }: MergeFileInputs,
): Promise<string> {
  const original = source.files.get(file);
  if (!original) throw new Error(`no file ${file} in ${source.folder}`);
  const hash = createHash('sha256');
  const entries = tensors.map((tensor) => ({
    name: tensor.name,
    shape: tensor.shape,
    dtype: tensor.to,
    data: () => mergedPieces(original, tensor),
  }));
  await writeSafetensors(path, entries, original.metadata, {
    order: 'given',
    signal,
    onBytes: (bytes) => {
      hash.update(bytes);
      onBytes(bytes.byteLength);
    },
  });
  return hash.digest('hex');
}

/** Headers get longer where offsets have more digits; a twentieth more covers that. */
function neededBytes(
  { files }: ShardedCheckpoint,
  plan: MergePlan,
  { copiedBytes }: OtherFiles,
): number {
  const headerBytes = [...files.values()].reduce(
    (sum, file) => sum + file.headerBytes.byteLength,
    0,
  );
  return outputBytes(plan) + copiedBytes + Math.ceil(headerBytes * 1.05) + 4096;
}

/**
 * Counts bytes of whole files against those of their tensors, so the end is where they are equal.
 */
function counter(
  phase: MergeProgress['phase'],
  totalBytes: number,
  onProgress: MergeOptions['onProgress'],
): (bytes: number) => void {
  let doneBytes = 0;
  return (bytes) => {
    doneBytes = Math.min(totalBytes, doneBytes + bytes);
    onProgress?.({ phase, doneBytes, totalBytes });
  };
}
